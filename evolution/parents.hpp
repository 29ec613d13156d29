// Who becomes a parent: on the slot's own island by tournament or epsilon-lexicase, out of the archive, or the champion
// that a judge chose.
// SPDX-License-Identifier: MIT
#pragma once
#include <optional>
#include <span>
#include <vector>

#include "evolution/lexicase.hpp"
#include "evolution/run_state.hpp"
#include "evolution/setup.hpp"
#include "evolution/variation/operator.hpp"

namespace evictlab::evolution {

/// Refers to the state. Immutable once made; safe to share between threads.
class Parents {
public:
    Parents(const RunState& state, const RunConfig& config);
    /// For Mating::accepted one that passed the train gate, where a few draws find one.
    const Member& choose(std::uint32_t slot, Mating mating, Rng& rng) const;

private:
    struct Island {
        std::vector<const Member*> members; ///< cheapest first
        std::optional<Lexicase> lexicase;
    };
    const Member& draw(const Island& island, Rng& rng) const;

    std::vector<Island> islands_;
    std::optional<Member> champion_; ///< where the run has a judge
    std::span<const Member> archive_;
    double archive_share_;
};

} // namespace evictlab::evolution
