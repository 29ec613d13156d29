// SPDX-License-Identifier: MIT
#include "framework/cut/rank_kernels.hpp"

#include <limits>
#include <utility>

#include "base/numeric/aligned.hpp"
#include "framework/cut/lanes.hpp"

namespace evictlab {
namespace {

constexpr std::size_t group = 4; // vectors ranked together: each score is read once for all of them
constexpr std::size_t group_tokens = group * lanes;

/// Token `first + lane` of the group's vector `own` against all vectors of the group.
template <std::size_t Own, std::size_t Lane>
EVICTLAB_INLINE void rank_within(const double* scores, const Values* mine, Mask* before) {
    const Values other = everywhere(scores[Own * lanes + Lane]);
    constexpr Mask earlier = Mask{0, 1, 2, 3} > Mask{Lane, Lane, Lane, Lane};
    for (std::size_t v = 0; v < Own; ++v) before[v] -= other > mine[v];
    before[Own] -= (other > mine[Own]) | ((other == mine[Own]) & earlier);
    for (std::size_t v = Own + 1; v < group; ++v) before[v] -= other >= mine[v];
}

template <std::size_t... Token>
EVICTLAB_INLINE void rank_group(const double* scores, const Values* mine, Mask* before, std::index_sequence<Token...>) {
    (rank_within<Token / lanes, Token % lanes>(scores, mine, before), ...);
}

constexpr std::size_t grouped(std::size_t n) { return (n + group_tokens - 1) / group_tokens * group_tokens; }

/// ranks[i] = how many of the n tokens come before i; scores are padded to grouped(n) with -inf.
EVICTLAB_INLINE void rank_all_pairs(const double* s, std::size_t n, Mask* ranks) {
    for (std::size_t first = 0; first < n; first += group_tokens) {
        Values mine[group];
        Mask before[group] = {};
        for (std::size_t v = 0; v < group; ++v) mine[v] = load(s + first + v * lanes);
        for (std::size_t i = 0; i < first; ++i) {
            const Values other = everywhere(s[i]);
            for (std::size_t v = 0; v < group; ++v) before[v] -= other >= mine[v];
        }
        rank_group(s + first, mine, before, std::make_index_sequence<group_tokens>{});
        for (std::size_t i = first + group_tokens; i < n; ++i) {
            const Values other = everywhere(s[i]);
            for (std::size_t v = 0; v < group; ++v) before[v] -= other > mine[v];
        }
        for (std::size_t v = 0; v < group; ++v) ranks[first / lanes + v] = before[v];
    }
}

template <std::size_t Budgets>
EVICTLAB_INLINE void sum_above_fixed(const double* scores, const double* mass, std::size_t n, const double* threshold,
                                     double* sums) {
    Values low[Budgets] = {}, high[Budgets] = {}, limit[Budgets];
    for (std::size_t b = 0; b < Budgets; ++b) limit[b] = everywhere(threshold[b]);
    for (std::size_t i = 0; i < n; i += 2 * lanes) {
        const Values s0 = load(scores + i), s1 = load(scores + i + lanes);
        const Values m0 = load(mass + i), m1 = load(mass + i + lanes);
        for (std::size_t b = 0; b < Budgets; ++b) {
            low[b] += masked(m0, s0 >= limit[b]);
            high[b] += masked(m1, s1 >= limit[b]);
        }
    }
    for (std::size_t b = 0; b < Budgets; ++b) sums[b] = total(low[b], high[b]);
}

} // namespace

EVICTLAB_CLONES double sum(const double* values, std::size_t n) {
    Values low = {}, high = {};
    std::size_t i = 0;
    for (; i + 2 * lanes <= n; i += 2 * lanes) {
        low += load(values + i);
        high += load(values + i + lanes);
    }
    double result = total(low, high);
    for (; i < n; ++i) result += values[i];
    return result;
}

EVICTLAB_CLONES void cut_small_by_scores(const double* scores, const double* mass, std::size_t n,
                                         std::span<const std::size_t> kept, double* kept_mass) {
    alignas(32) double s[grouped(small_row)];
    Mask ranks[grouped(small_row) / lanes];
    for (std::size_t i = n; i < grouped(n); ++i) s[i] = -std::numeric_limits<double>::infinity();
    __builtin_memcpy(s, scores, n * sizeof(double));
    rank_all_pairs(s, n, ranks);
    for (std::size_t b = 0; b < kept.size(); ++b) {
        Values low = {}, high = {};
        const auto k = static_cast<std::int64_t>(kept[b]);
        const Mask limit = {k, k, k, k};
        for (std::size_t v = 0; v < padded(n) / lanes; v += 2) {
            low += masked(load(mass + v * lanes), ranks[v] < limit);
            high += masked(load(mass + (v + 1) * lanes), ranks[v + 1] < limit);
        }
        kept_mass[b] = total(low, high);
    }
}

EVICTLAB_CLONES void sum_above(const double* scores, const double* mass, std::size_t n, const double* threshold,
                               std::size_t budgets, double* sums) {
    switch (budgets) {
    case 1:
        return sum_above_fixed<1>(scores, mass, n, threshold, sums);
    case 2:
        return sum_above_fixed<2>(scores, mass, n, threshold, sums);
    case 3:
        return sum_above_fixed<3>(scores, mass, n, threshold, sums);
    default:
        return sum_above_fixed<4>(scores, mass, n, threshold, sums);
    }
}

EVICTLAB_CLONES Counts count(const double* scores, std::size_t n, double value) {
    Mask above = {}, equal = {};
    const Values limit = everywhere(value);
    for (std::size_t i = 0; i < padded(n); i += lanes) {
        const Values s = load(scores + i);
        above += s > limit;
        equal += s == limit;
    }
    return {count_of(above), count_of(equal)};
}

EVICTLAB_CLONES std::size_t count_nan(const double* scores, std::size_t n) {
    Mask found = {};
    std::size_t i = 0;
    for (; i + lanes <= n; i += lanes) found += load(scores + i) != load(scores + i);
    std::size_t result = count_of(found);
    for (; i < n; ++i) result += scores[i] != scores[i] ? 1 : 0;
    return result;
}

EVICTLAB_CLONES double sum_first_equal(const double* scores, const double* mass, std::size_t n, double value,
                                       std::size_t wanted) {
    Values low = {}, high = {};
    const Values limit = everywhere(value);
    std::size_t i = 0;
    for (; i + 2 * lanes <= n; i += 2 * lanes) {
        const Mask e0 = load(scores + i) == limit, e1 = load(scores + i + lanes) == limit;
        const std::size_t here = count_of(e0 + e1);
        if (here > wanted) break;
        wanted -= here;
        low += masked(load(mass + i), e0);
        high += masked(load(mass + i + lanes), e1);
    }
    double result = total(low, high);
    for (; i < n && wanted > 0; ++i)
        if (scores[i] == value) {
            result += mass[i];
            --wanted;
        }
    return result;
}

EVICTLAB_CLONES void sort_small(double* values, std::size_t count) {
    static_assert(grouped(collect_cap) <= collect_room);
    Mask ranks[grouped(collect_cap) / lanes];
    double sorted[collect_room];
    for (std::size_t i = count; i < grouped(count); ++i) values[i] = -std::numeric_limits<double>::infinity();
    rank_all_pairs(values, count, ranks);
    for (std::size_t i = 0; i < count; ++i) sorted[ranks[i / lanes][i % lanes]] = values[i];
    __builtin_memcpy(values, sorted, count * sizeof(double));
}

} // namespace evictlab
