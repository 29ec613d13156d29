// SPDX-License-Identifier: MIT
#include "framework/evaluation/rank_kernels.hpp"

#include <limits>

#include "framework/clones.hpp"
#include "framework/suite/trace.hpp"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

// Vectors pass between helpers that are always inlined, so no calling convention is at stake.
#pragma GCC diagnostic ignored "-Wpsabi"

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

/// ranks[i] = how many come before i.
EVICTLAB_INLINE void rank_all_pairs(const double* s, std::size_t n, Mask* ranks) {
    const std::size_t vectors = padded(n) / lanes;
    for (std::size_t v = 0; v < vectors; ++v) {
        const Values mine = load(s + v * lanes);
        Mask before = {};
        const std::size_t first = v * lanes;
        for (std::size_t i = 0; i < first; ++i) before -= (Values{} + s[i]) >= mine;
        for (std::size_t i = first + lanes; i < n; ++i) before -= (Values{} + s[i]) > mine;
        for (std::size_t i = 0; i < lanes; ++i) {
            const Values other = Values{} + s[first + i];
            const auto at = static_cast<std::int64_t>(i);
            const Mask earlier = Mask{0, 1, 2, 3} > (Mask{} + at);
            before -= (other > mine) | ((other == mine) & earlier);
        }
        ranks[v] = before;
    }
}

template <std::size_t Budgets>
EVICTLAB_INLINE void sum_above_fixed(const double* scores, const double* mass, std::size_t n, const double* threshold,
                                     double* sums) {
    Values low[Budgets] = {}, high[Budgets] = {}, limit[Budgets];
    for (std::size_t b = 0; b < Budgets; ++b) limit[b] = Values{} + threshold[b];
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
                      std::size_t* found, double (*collected)[collect_cap + 4]) {
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
                                                  double (*collected)[collect_cap + 4]) {
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
                   std::size_t* found, double (*collected)[collect_cap + 4]) {
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
    alignas(32) double s[small_row];
    Mask ranks[small_row / lanes];
    Mask not_a_number = {};
    for (std::size_t i = 0; i < n; ++i) s[i] = scores[i];
    for (std::size_t i = n; i < padded(n); ++i) s[i] = -std::numeric_limits<double>::infinity();
    for (std::size_t i = 0; i < padded(n); i += lanes) not_a_number |= load(s + i) != load(s + i);
    if (count_of(not_a_number) != 0) return false;
    rank_all_pairs(s, n, ranks);
    for (std::size_t b = 0; b < budgets; ++b) {
        Values low = {}, high = {};
        const Mask limit = Mask{} + static_cast<std::int64_t>(kept[b]);
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
    const Values limit = Values{} + value;
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
    const Values limit = Values{} + value;
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

void collect(const double* scores, std::size_t n, const double* low, const double* high, std::size_t brackets,
             std::size_t* above, std::size_t* found, double (*collected)[collect_cap + 4]) {
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
