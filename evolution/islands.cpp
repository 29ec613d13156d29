// SPDX-License-Identifier: MIT
#include "evolution/islands.hpp"

#include <algorithm>
#include <utility>

namespace evictlab::evolution {

std::size_t places_of_island(std::size_t population, std::uint32_t island, std::uint32_t islands) {
    return population / islands + (island < population % islands ? 1 : 0);
}

std::vector<Member> survivors_of_islands(std::vector<Member> pool, const SurvivalRule& rule, std::uint32_t islands) {
    if (islands == 1) return survivors(std::move(pool), rule);
    std::vector<std::vector<Member>> by_island(islands);
    for (Member& member : pool) by_island[member.island].push_back(std::move(member));
    std::vector<Member> all;
    for (std::uint32_t island = 0; island < islands; ++island) {
        SurvivalRule own = rule;
        own.population = places_of_island(rule.population, island, islands);
        for (Member& member : survivors(std::move(by_island[island]), own)) all.push_back(std::move(member));
    }
    sort_by_cost(all, rule.node_price);
    return all;
}

void migrate(std::vector<Member>& population, std::uint32_t islands) {
    std::vector<Member> travellers;
    for (std::uint32_t island = 0; island < islands; ++island) {
        const auto best = std::ranges::find(population, island, &Member::island);
        if (best == population.end()) continue;
        travellers.push_back(*best);
        travellers.back().island = (island + 1) % islands;
    }
    for (Member& member : travellers) population.push_back(std::move(member));
}

} // namespace evictlab::evolution
