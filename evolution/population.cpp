// SPDX-License-Identifier: MIT
#include "evolution/population.hpp"

#include <algorithm>
#include <limits>
#include <tuple>
#include <unordered_map>

namespace evictlab::evolution {
namespace {

/// Keeps the first of those with equal train errors at every retention; cheapest-first order makes it the smallest.
void drop_neutral_variants(std::vector<Member>& members) {
    std::unordered_map<double, std::vector<const Member*>> by_average;
    std::vector<Member> kept;
    kept.reserve(members.size());
    for (auto& member : members) {
        auto& same = by_average[member.train.average];
        const bool neutral = std::any_of(same.begin(), same.end(), [&](const Member* other) {
            return other->train.by_retention == member.train.by_retention;
        });
        if (neutral) continue;
        kept.push_back(std::move(member));
        same.push_back(&kept.back());
    }
    members = std::move(kept);
}

std::vector<const Member*> pointers_to(const std::vector<Member>& members) {
    std::vector<const Member*> pointers;
    pointers.reserve(members.size());
    for (const Member& member : members) pointers.push_back(&member);
    return pointers;
}

/// Marks members that no other beats in both error and size.
std::vector<bool> pareto_front(std::span<const Member* const> members) {
    std::vector<std::size_t> order(members.size());
    for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
    std::sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
        return std::tuple(members[a]->genome.size(), members[a]->train.average, a) <
               std::tuple(members[b]->genome.size(), members[b]->train.average, b);
    });
    std::vector<bool> front(members.size(), false);
    double best = std::numeric_limits<double>::infinity();
    for (const std::size_t i : order) {
        if (!(members[i]->train.average < best)) continue;
        best = members[i]->train.average;
        front[i] = true;
    }
    return front;
}

} // namespace

void sort_by_cost(std::vector<Member>& members, double node_price) {
    std::vector<std::pair<double, std::size_t>> order(members.size());
    for (std::size_t i = 0; i < members.size(); ++i) order[i] = {cost(members[i], node_price), i};
    std::sort(order.begin(), order.end(), [&](const auto& a, const auto& b) {
        if (a.first != b.first) return a.first < b.first;
        const Member &left = members[a.second], &right = members[b.second];
        return std::tuple(left.genome.hash(), left.island) < std::tuple(right.genome.hash(), right.island);
    });
    std::vector<Member> sorted;
    sorted.reserve(members.size());
    for (const auto& [unused, index] : order) sorted.push_back(std::move(members[index]));
    members = std::move(sorted);
}

std::vector<Member> survivors(std::vector<Member> pool, const SurvivalRule& rule) {
    sort_by_cost(pool, rule.node_price);
    drop_neutral_variants(pool);
    const std::vector<bool> front = pareto_front(pointers_to(pool));
    std::size_t places =
        rule.population -
        std::min(rule.population, static_cast<std::size_t>(std::count(front.begin(), front.end(), true)));
    std::unordered_map<std::uint64_t, std::size_t> skeletons;
    std::vector<Member> next;
    next.reserve(rule.population);
    for (std::size_t i = 0; i < pool.size(); ++i) {
        if (!front[i] && (places == 0 || skeletons[pool[i].skeleton] >= rule.same_skeleton)) continue;
        if (!front[i]) --places;
        ++skeletons[pool[i].skeleton];
        next.push_back(std::move(pool[i]));
    }
    return next;
}

const Member* last_place(std::span<const Member* const> members, std::size_t places) {
    if (2 * members.size() < places) return nullptr;
    const std::vector<bool> front = pareto_front(members);
    for (std::size_t i = members.size(); i-- > 0;)
        if (!front[i]) return members[i];
    return nullptr;
}

std::size_t tournament(std::size_t population, Rng& rng, int rounds) {
    std::size_t best = rng.below(population);
    for (int i = 1; i < rounds; ++i) best = std::min(best, rng.below(population));
    return best;
}

} // namespace evictlab::evolution
