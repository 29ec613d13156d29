// Which cached tokens stay: every layer is scored by libevictlab, and the scores are cut at the grain that was asked
// for. SPDX-License-Identifier: MIT
#pragma once
#include <cstddef>

#include "engine/scorer.hpp"
#include "engine/sequence.hpp"
#include "framework/cut/join.hpp"

namespace evictlab::engine {

/// What is asked for: a share of the tokens, or a number of them.
struct Budget {
    double retention = 0; ///< in (0, 1], where `keep` is 0
    std::size_t keep = 0; ///< no more than there are
    /// The share that goes, so that kvpress's rule keeps as many as this says of n.
    double removed(std::size_t n) const;
    std::size_t kept(std::size_t n) const; ///< max(1, (int)(n * (1 - removed))), kvpress's
};

struct Cut {
    Granularity granularity = Granularity::head;
    Join join = Join::mean; ///< of heads and layers, where the granularity is the model
    Budget budget;
    int threads = 1;
};

/// UsageError where the scorer cannot be had in a cache whose heads keep as many tokens each: by name, with the reason.
/// `again`: whether it is to be asked anew when tokens are gone already.
void check_scorer(const Scorer& scorer, Granularity granularity, bool again);

/// What stays of the sequence's cache, which is `state`. The sequence has recorded the queries that the scorer needs.
/// Throws what libevictlab says; Error where a scorer's heads keep different counts.
KeptCells choose(const Scorer& scorer, const Sequence& sequence, const CacheState& state, const Cut& cut);

} // namespace evictlab::engine
