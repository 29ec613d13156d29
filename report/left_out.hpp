// Documents that the model itself cannot do are in no mean of a leaderboard: what eviction does to them is no loss.
// SPDX-License-Identifier: MIT
#pragma once
#include <string>
#include <vector>

#include "framework/bench/scorecard.hpp"

namespace evictlab::report {

/// What was taken from a bench's test splits. `nothing_left`: the model can do none, so all stay and carry no claim.
struct LeftOut {
    std::vector<TraceLabel> documents;
    bool nothing_left = false;
};

/// Takes the marked documents of the test splits from labels and errors, whose means are then over the others. Errors
/// that are not known by document stay.
LeftOut leave_out(Bench& bench);

enum class LeftOutNames { told, counted };

/// "2 documents left out of all means, ...: NAME (WHY), NAME (WHY)." in Markdown, or without the names; "" where none
/// is.
std::string left_out_note(const std::vector<TraceLabel>& documents, bool nothing_left,
                          LeftOutNames names = LeftOutNames::told);

} // namespace evictlab::report
