// Thresholds for which scorers without a budget keep as much as is asked for, found on the train split.
// SPDX-License-Identifier: MIT
#pragma once
#include <span>
#include <vector>

#include "framework/bench/scorecard.hpp"
#include "framework/protocols/protocol.hpp"
#include "framework/scoring/scorer_pool.hpp"

namespace evictlab {

/// The scorers, those that are unmatched() with a threshold for each retention: the lowest by which all train traces
/// together cache no more than what a budget would allow, as if nothing else were evicted. One of those that broke is
/// in `failures`, and has a threshold that keeps all. Throws UsageError for one that the suite cannot match.
std::vector<Scorer> match_on_train(const Suite& suite, std::span<const Scorer> scorers, const BenchOptions& options,
                                   ScorerFailures& failures);

/// The lowest threshold that leaves at most `allowed` of `cached`, where what scores below goes; the scores in any
/// order. Finite.
double threshold_for(std::vector<DecidedScore> decided, double cached, double allowed);

} // namespace evictlab
