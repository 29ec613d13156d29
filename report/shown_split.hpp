// How much of a bench's result is shown: who tries ideas does not look at the test split, which is for the report.
// SPDX-License-Identifier: MIT
#pragma once
#include <string_view>

#include "framework/bench/scorecard.hpp"

namespace evictlab::report {

/// "train", "valid" or "test"; UsageError for anything else.
Split parse_shown_split(std::string_view name);

/// What a bench shows unless it is told: valid; of a suite without such traces the split that it has.
Split usual_split(const BySplit<std::vector<TraceLabel>>& traces);

/// The result by `split`: nothing of those that are for later is left in it, so that it ranks its rows
/// (report/ranking.hpp). test hides nothing; valid hides test and test_other_model; train all others.
/// Throws UsageError where the suite has no such traces.
Bench shown_by(Bench bench, Split split);

} // namespace evictlab::report
