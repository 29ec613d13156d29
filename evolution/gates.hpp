// The gates that a candidate must pass, and the reason in words and figures where it does not.
// SPDX-License-Identifier: MIT
#pragma once
#include <string>

#include "evolution/candidate.hpp"

namespace evictlab::evolution {

struct Judgement {
    bool passed = false;
    std::string reason;
};

/// What a candidate is measured against at the first gate: its best parent.
struct Reference {
    double train = 0;
    std::size_t nodes = 0;
};

/// First gate, train alone: below the best parent, or smaller and no further above it than `node_price` for each node
/// saved.
Judgement judge_train(const Candidate& candidate, const Reference& parent, double node_price);

/// Second gate, for candidates that passed the first and whose valid errors are measured: better than the champion on
/// train, and on valid too.
Judgement judge_promotion(const Candidate& candidate, const Candidate& champion);

} // namespace evictlab::evolution
