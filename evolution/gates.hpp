// The gates that a candidate must pass, and the reason in words and figures where it does not.
// SPDX-License-Identifier: MIT
#pragma once
#include <string>

#include "evolution/candidate.hpp"

namespace evictlab::evolution {

struct GateResult {
    bool passed = false;
    std::string reason;
};

/// What a candidate is measured against at the first gate: its best parent.
struct Reference {
    double train = 0;
    std::size_t nodes = 0;
};

/// How much worse than the champion's an offline error may be for the model to be asked, as a share: what the offline
/// measure tells apart less well than this, the model decides.
inline constexpr double offline_slack = 0.05;

/// First gate, train alone: below the best parent, or smaller and no further above it than `node_price` for each node
/// saved.
GateResult gate_train(const Candidate& candidate, const Reference& parent, double node_price);

/// The same gate where a judge has the last word, for what has not passed: no further above the champion than
/// offline_slack.
GateResult gate_nearness(const Candidate& candidate, const Candidate& champion);

/// Second gate, for candidates that passed the first and whose valid errors are measured: better than the champion on
/// train, and on valid too.
GateResult gate_promotion(const Candidate& candidate, const Candidate& champion);

} // namespace evictlab::evolution
