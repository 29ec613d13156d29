// SPDX-License-Identifier: MIT
#include "framework/evaluation/rank_kernels.hpp"

#include <algorithm>
#include <bit>
#include <limits>
#include <utility>

#include "framework/clones.hpp"
#include "framework/suite/trace.hpp"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace evictlab {
namespace {

// Four lanes a register; two registers make the eight running sums that fix the order of additions.
using Values = double __attribute__((vector_size(32)));
using Mask = std::int64_t __attribute__((vector_size(32)));
constexpr std::size_t lanes = 4;

EVICTLAB_INLINE Values load(const double* p) {
    Values v;
    __builtin_memcpy(&v, p, sizeof v);
    return v;
}

EVICTLAB_INLINE Values masked(Values v, Mask m) {
    Mask bits;
    __builtin_memcpy(&bits, &v, sizeof v);
    bits &= m;
    Values out;
    __builtin_memcpy(&out, &bits, sizeof v);
    return out;
}

EVICTLAB_INLINE double total(Values a, Values b) {
    return ((a[0] + a[1]) + (a[2] + a[3])) + ((b[0] + b[1]) + (b[2] + b[3]));
}

EVICTLAB_INLINE std::size_t count_of(Mask m) { return static_cast<std::size_t>(-(m[0] + m[1] + m[2] + m[3])); }

EVICTLAB_INLINE Values everywhere(double value) { return Values{value, value, value, value}; }

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

template <std::size_t Brackets>
void collect_portable(const double* scores, std::size_t n, const double* low, const double* high, std::size_t* above,
                      std::size_t* found, double (*collected)[collect_room]) {
    for (std::size_t b = 0; b < Brackets; ++b) {
        std::size_t over = 0, in = 0;
        for (std::size_t i = 0; i < n; ++i) {
            over += scores[i] > high[b] ? 1 : 0;
            collected[b][in < collect_cap ? in : collect_cap] = scores[i];
            in += scores[i] >= low[b] && scores[i] <= high[b] ? 1 : 0;
        }
        above[b] = over;
        found[b] = in;
    }
}

#if defined(__x86_64__)
template <std::size_t Brackets>
__attribute__((target("avx2"))) void collect_avx2(const double* scores, std::size_t n, const double* low,
                                                  const double* high, std::size_t* above, std::size_t* found,
                                                  double (*collected)[collect_room]) {
    __m256d lows[Brackets], highs[Brackets];
    __m256i over[Brackets];
    std::size_t in[Brackets] = {};
    for (std::size_t b = 0; b < Brackets; ++b) {
        lows[b] = _mm256_set1_pd(low[b]);
        highs[b] = _mm256_set1_pd(high[b]);
        over[b] = _mm256_setzero_si256();
    }
    for (std::size_t i = 0; i < n; i += lanes) {
        const __m256d s = _mm256_loadu_pd(scores + i);
        __m256d inside[Brackets], any = _mm256_setzero_pd();
        for (std::size_t b = 0; b < Brackets; ++b) {
            const __m256d over_high = _mm256_cmp_pd(s, highs[b], _CMP_GT_OQ);
            over[b] = _mm256_sub_epi64(over[b], _mm256_castpd_si256(over_high));
            inside[b] = _mm256_andnot_pd(over_high, _mm256_cmp_pd(s, lows[b], _CMP_GE_OQ));
            any = _mm256_or_pd(any, inside[b]);
        }
        if (_mm256_movemask_pd(any) == 0) continue;
        for (std::size_t b = 0; b < Brackets; ++b)
            for (auto bits = static_cast<unsigned>(_mm256_movemask_pd(inside[b])); bits != 0; bits &= bits - 1) {
                collected[b][in[b] < collect_cap ? in[b] : collect_cap] =
                    scores[i + static_cast<std::size_t>(__builtin_ctz(bits))];
                ++in[b];
            }
    }
    for (std::size_t b = 0; b < Brackets; ++b) {
        alignas(32) std::int64_t parts[lanes];
        _mm256_store_si256(reinterpret_cast<__m256i*>(parts), over[b]);
        above[b] = static_cast<std::size_t>(parts[0] + parts[1] + parts[2] + parts[3]);
        found[b] = in[b];
    }
}
#endif

template <std::size_t Brackets>
void collect_fixed(const double* scores, std::size_t n, const double* low, const double* high, std::size_t* above,
                   std::size_t* found, double (*collected)[collect_room]) {
#if defined(__x86_64__)
    static const bool has_avx2 = __builtin_cpu_supports("avx2") != 0;
    if (has_avx2) return collect_avx2<Brackets>(scores, n, low, high, above, found, collected);
#endif
    collect_portable<Brackets>(scores, n, low, high, above, found, collected);
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

EVICTLAB_CLONES bool cut_small(const double* scores, const double* mass, std::size_t n, const std::size_t* kept,
                               std::size_t budgets, double* kept_mass) {
    alignas(32) double s[grouped(small_row)];
    Mask ranks[grouped(small_row) / lanes];
    Mask not_a_number = {};
    const std::size_t end = grouped(n);
    for (std::size_t i = n & ~std::size_t{lanes - 1}; i < end; ++i) s[i] = -std::numeric_limits<double>::infinity();
    __builtin_memcpy(s, scores, n * sizeof(double));
    for (std::size_t i = 0; i < end; i += lanes) not_a_number |= load(s + i) != load(s + i);
    if (count_of(not_a_number) != 0) return false;
    rank_all_pairs(s, n, ranks);
    for (std::size_t b = 0; b < budgets; ++b) {
        Values low = {}, high = {};
        const auto k = static_cast<std::int64_t>(kept[b]);
        const Mask limit = {k, k, k, k};
        for (std::size_t v = 0; v < padded(n) / lanes; v += 2) {
            low += masked(load(mass + v * lanes), ranks[v] < limit);
            high += masked(load(mass + (v + 1) * lanes), ranks[v + 1] < limit);
        }
        kept_mass[b] = total(low, high);
    }
    return true;
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

namespace {

// Doubles as integers of the same order, so that a bucket is a range of scores whatever their scale.
using Keys = std::uint64_t __attribute__((vector_size(32)));
constexpr std::uint64_t sign_bit = std::uint64_t{1} << 63;
constexpr int bucket_bits = 8;
constexpr std::size_t buckets = std::size_t{1} << bucket_bits;

EVICTLAB_INLINE Keys keys_of(Values v) {
    Keys bits;
    __builtin_memcpy(&bits, &v, sizeof v);
    Mask negative;
    __builtin_memcpy(&negative, &v, sizeof v);
    negative = negative < Mask{};
    Keys flip;
    __builtin_memcpy(&flip, &negative, sizeof flip);
    return bits ^ (flip | Keys{sign_bit, sign_bit, sign_bit, sign_bit});
}

double score_of(std::uint64_t key) { return std::bit_cast<double>((key & sign_bit) != 0 ? key ^ sign_bit : ~key); }

std::uint64_t key_of(double score) {
    const auto bits = std::bit_cast<std::uint64_t>(score);
    return (bits & sign_bit) != 0 ? ~bits : bits | sign_bit;
}

/// Scores outside the range count as its ends.
EVICTLAB_CLONES void fill_histogram(const double* scores, std::size_t n, Range range, int shift,
                                    std::uint32_t (*counts)[buckets]) {
    const std::uint64_t first_key = key_of(range.lowest);
    const Values lowest = everywhere(range.lowest), highest = everywhere(range.highest);
    const Keys first = {first_key, first_key, first_key, first_key};
    std::size_t i = 0;
    for (; i + lanes <= n; i += lanes) {
        const Values s = load(scores + i);
        const Values raised = s > lowest ? s : lowest;
        const Keys bucket = (keys_of(raised < highest ? raised : highest) - first) >> shift;
        for (std::size_t lane = 0; lane < lanes; ++lane) ++counts[lane][bucket[lane]];
    }
    for (; i < n; ++i) ++counts[0][(key_of(std::clamp(scores[i], range.lowest, range.highest)) - first_key) >> shift];
}

} // namespace

EVICTLAB_CLONES Range range_of(const double* scores, std::size_t n) {
    Values low = load(scores), high = low; // n is above small_row
    for (std::size_t i = lanes; i + lanes <= n; i += lanes) {
        const Values s = load(scores + i);
        low = s < low ? s : low;
        high = s > high ? s : high;
    }
    Range range{low[0], high[0]};
    const auto widen = [&range](double l, double h) {
        range.lowest = l < range.lowest ? l : range.lowest;
        range.highest = h > range.highest ? h : range.highest;
    };
    for (std::size_t lane = 1; lane < lanes; ++lane) widen(low[lane], high[lane]);
    for (std::size_t i = n - lanes; i < n; ++i) widen(scores[i], scores[i]);
    return range;
}

void histogram_brackets(const double* scores, std::size_t n, Range range, const std::size_t* kept, std::size_t budgets,
                        std::size_t reach, double* low, double* high) {
    const std::uint64_t first = key_of(range.lowest), last = key_of(range.highest);
    const int shift = std::max(0, static_cast<int>(std::bit_width(last - first)) - bucket_bits);
    std::uint32_t counts[lanes][buckets] = {}; // one a lane, so that increments do not wait for each other
    fill_histogram(scores, n, range, shift, counts);
    std::size_t at_least[buckets + 1]; // scores in this bucket and those over it
    at_least[buckets] = 0;
    for (std::size_t b = buckets; b-- > 0;)
        at_least[b] = at_least[b + 1] + counts[0][b] + counts[1][b] + counts[2][b] + counts[3][b];
    for (std::size_t i = 0; i < budgets; ++i) {
        const auto bucket_holding = [&](std::size_t rank) { // of the rank-th highest score
            std::size_t b = 0;
            for (std::size_t step = buckets / 2; step > 0; step /= 2)
                if (at_least[b + step] >= rank) b += step;
            return b;
        };
        const std::size_t bottom = bucket_holding(std::min(n, kept[i] + reach));
        const std::size_t top = bucket_holding(kept[i] > reach ? kept[i] - reach : 1);
        low[i] = score_of(first + (static_cast<std::uint64_t>(bottom) << shift));
        const std::uint64_t end = (static_cast<std::uint64_t>(top) << shift) + ((std::uint64_t{1} << shift) - 1);
        high[i] = score_of(end < last - first ? first + end : last);
    }
}

void collect(const double* scores, std::size_t n, const double* low, const double* high, std::size_t brackets,
             std::size_t* above, std::size_t* found, double (*collected)[collect_room]) {
    switch (brackets) {
    case 1:
        return collect_fixed<1>(scores, n, low, high, above, found, collected);
    case 2:
        return collect_fixed<2>(scores, n, low, high, above, found, collected);
    case 3:
        return collect_fixed<3>(scores, n, low, high, above, found, collected);
    default:
        return collect_fixed<4>(scores, n, low, high, above, found, collected);
    }
}

} // namespace evictlab
