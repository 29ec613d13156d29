// Counting the scores over a bracket and collecting those inside it.
// SPDX-License-Identifier: MIT
#include "framework/cut/rank_kernels.hpp"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace evictlab {
namespace {

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
    for (std::size_t i = 0; i < n; i += 4) {
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
        alignas(32) std::int64_t parts[4];
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
