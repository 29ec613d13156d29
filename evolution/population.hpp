// The population, who survives into the next one, and who becomes a parent. Selection sees train errors and sizes only.
// SPDX-License-Identifier: MIT
#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/statistics/philox.hpp"
#include "evolution/candidate.hpp"

namespace evictlab::evolution {

/// What of a candidate breeding needs.
struct Member {
    std::string id;
    Genome genome;
    FormulaErrors train;
    bool accepted = false;     ///< passed the train gate
    std::uint32_t tunings = 0; ///< how often its constants were tuned
    std::uint32_t island = 0;
    std::uint64_t skeleton = 0; ///< skeleton_of(genome)
};

/// The error with a price on every node: what is minimised.
inline double cost(const Member& member, double node_price) {
    return member.train.average + node_price * static_cast<double>(member.genome.size());
}

struct SurvivalRule {
    std::size_t population = 0;
    double node_price = 0;
    std::size_t same_skeleton = 0; ///< at most so many that differ in constants only
};

/// Cheapest first; the hash, then the island, make the order total.
void sort_by_cost(std::vector<Member>& members, double node_price);

/// The next population, cheapest first. Of members with the same train errors the smallest stays (neutral variants
/// would fill the population); the Pareto front of error against size always survives. Does not depend on the pool's
/// order.
std::vector<Member> survivors(std::vector<Member> pool, const SurvivalRule& rule);

/// The costliest of those that hold their places by cost, and not by being on the Pareto front: who beats it may enter.
/// Null while fewer than half of the places are taken. `members` are cheapest first, one island's.
const Member* last_place(std::span<const Member* const> members, std::size_t places);

/// An index into a population sorted by survivors(): the best of `rounds` draws.
std::size_t tournament(std::size_t population, Rng& rng, int rounds);

} // namespace evictlab::evolution
