// A text of any length through a cache of so many cells. SPDX-License-Identifier: MIT
#pragma once
#include <cstddef>
#include <span>

#include "engine/policy.hpp"

namespace evictlab::engine {

/// The sequence and the policy must outlive it. One thread at a time.
class Stream {
public:
    /// Where the sequence holds `cells` tokens, all but `every` of them are kept before more come; `every` 0: none
    /// goes.
    Stream(Sequence& sequence, const Policy& policy, std::size_t cells, std::size_t every)
        : sequence_(sequence), policy_(policy), cells_(cells), every_(every) {}

    /// Runs tokens at the next positions, as many at once as there is room for; logits behind the last. Throws Error.
    std::span<const float> feed(std::span<const llama_token> tokens);

    /// Evicts now, to so many cells, where more are cached. Throws Error.
    void evict(std::size_t keep) {
        if (keep < sequence_.cells()) policy_.evict(sequence_, keep, costs_);
    }

    const Costs& costs() const { return costs_; }

private:
    Sequence& sequence_;
    const Policy& policy_;
    std::size_t cells_, every_;
    Costs costs_;
};

} // namespace evictlab::engine
