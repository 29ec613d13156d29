// Islands: parts of the population that breed and survive among themselves, and now and then send their best on to the
// next one, in a ring. SPDX-License-Identifier: MIT
#pragma once
#include <cstdint>
#include <vector>

#include "evolution/population.hpp"

namespace evictlab::evolution {

/// The island that a slot breeds for.
inline std::uint32_t island_of_slot(std::uint32_t slot, std::uint32_t islands) { return slot % islands; }

/// How many of `population` places an island has: the first ones get what is left over.
std::size_t places_of_island(std::size_t population, std::uint32_t island, std::uint32_t islands);

/// survivors() of each island in its own places, together cheapest first.
std::vector<Member> survivors_of_islands(std::vector<Member> pool, const SurvivalRule& rule, std::uint32_t islands);

/// Copies the cheapest member of each island to the next; `population` is cheapest first. The islands are then one too
/// large: it is survivors_of_islands() that makes room.
void migrate(std::vector<Member>& population, std::uint32_t islands);

} // namespace evictlab::evolution
