// Which cached tokens stay: every layer is scored by libevictlab, and the scores are cut at the grain that was asked
// for. SPDX-License-Identifier: MIT
#pragma once
#include <cstddef>
#include <mutex>
#include <span>
#include <vector>

#include "engine/scorer.hpp"
#include "engine/sequence.hpp"
#include "framework/cut/shape.hpp"

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
    Shape shape{};
    int threads = 1;
};

/// What was computed of one cache's layers, and may be used again for the same cache with other scorers. Threads may
/// share it.
class Notes {
public:
    explicit Notes(std::size_t layers) : layers_(layers) {}

    struct Layer {
        Memory columns;
        std::mutex lock; ///< of the norms
        std::vector<float> wov_norms;
    };
    Layer& layer(std::size_t at) { return layers_[at]; } ///< CacheLayout::full's place

private:
    std::vector<Layer> layers_;
};

/// UsageError where the scorer cannot be had in a cache whose heads keep as many tokens each: by name, with the reason.
/// `again`: whether it is to be asked anew when tokens are gone already.
void check_scorer(const Scorer& scorer, const Shape& shape, bool again);

/// Which queries must go along with what stays where the scorer is to be asked again.
Carried carried_for(const Scorer& scorer, const Shape& shape);

/// What stays of what is cached at each budget. The queries that the scorer needs are among it. Throws what libevictlab
/// says; Error where a scorer's heads keep different counts, and where the shape's blocks would make them do so.
std::vector<KeptCells> choose(const Scorer& scorer, const Cached& cached, const Cut& cut,
                              std::span<const Budget> budgets, Notes* notes = nullptr);
KeptCells choose(const Scorer& scorer, const Cached& cached, const Cut& cut, const Budget& budget);

} // namespace evictlab::engine
