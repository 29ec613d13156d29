// The cut of a short row. Where the processor has AVX2, all pairs are compared by 16-bit keys, of which a register
// holds four times as many as of scores. Keys are coarse: where they cannot tell a kept token from one that is not, the
// scores themselves are looked at. SPDX-License-Identifier: MIT
#include <algorithm>
#include <cstdint>
#include <limits>
#include <span>

#include "base/numeric/aligned.hpp"
#include "framework/cut/lanes.hpp"
#include "framework/cut/rank_kernels.hpp"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace evictlab {
namespace {

#if defined(__x86_64__)
#define EVICTLAB_AVX2 __attribute__((target("avx2"), always_inline)) inline

constexpr double infinity = std::numeric_limits<double>::infinity();
constexpr std::size_t key_lanes = 16;    // a register
constexpr short key_limit = 32767;       // keys lie between -key_limit and this
constexpr std::size_t most_budgets = 64; // a bit each

struct SmallRow { ///< padded with what comes last
    alignas(32) double scores[small_row];
    alignas(32) short keys[small_row];
    alignas(32) long long ranks[small_row]; ///< how many tokens come before
};

EVICTLAB_AVX2 double lowest(__m256d v) {
    const __m128d two = _mm_min_pd(_mm256_castpd256_pd128(v), _mm256_extractf128_pd(v, 1));
    return _mm_cvtsd_f64(_mm_min_sd(two, _mm_unpackhi_pd(two, two)));
}

EVICTLAB_AVX2 int lowest(__m256i keys) {
    const __m128i eight = _mm_min_epi16(_mm256_castsi256_si128(keys), _mm256_extracti128_si256(keys, 1));
    const __m128i sign = _mm_set1_epi16(-key_limit - 1); // minpos compares without sign
    return _mm_cvtsi128_si32(_mm_xor_si128(_mm_minpos_epu16(_mm_xor_si128(eight, sign)), sign)) << 16;
}

/// The scale whose keys are finest between two scores.
KeyScale scale_between(double low, double high) {
    const double width = high - low;
    if (width > 1e-300 && width < infinity) return {low + width / 2, 2 * key_limit / width};
    return {0, 1};
}

/// Copies and pads the scores. False where one of them is NaN.
template <std::size_t Registers>
EVICTLAB_AVX2 bool take_scores(const double* from, std::size_t n, SmallRow& row) {
    const __m256i count = _mm256_set1_epi64x(static_cast<long long>(n));
    const __m256i index = _mm256_setr_epi64x(0, 1, 2, 3);
    __m256d is_nan = _mm256_setzero_pd();
    for (std::size_t i = 0; i < Registers * key_lanes; i += lanes) {
        __m256d s;
        if (i + key_lanes < Registers * key_lanes) {
            s = _mm256_loadu_pd(from + i);
        } else {
            const __m256i left = _mm256_sub_epi64(count, _mm256_set1_epi64x(static_cast<long long>(i)));
            const __m256i is_there = _mm256_cmpgt_epi64(left, index);
            s = _mm256_blendv_pd(_mm256_set1_pd(-infinity), _mm256_maskload_pd(from + i, is_there),
                                 _mm256_castsi256_pd(is_there));
        }
        _mm256_store_pd(row.scores + i, s);
        is_nan = _mm256_or_pd(is_nan, _mm256_cmp_pd(s, s, _CMP_UNORD_Q));
    }
    return _mm256_movemask_pd(is_nan) == 0;
}

template <std::size_t Registers>
EVICTLAB_AVX2 KeyScale scale_of_all(const SmallRow& row) {
    __m256d low = _mm256_set1_pd(infinity), high = _mm256_set1_pd(-infinity);
    for (std::size_t i = 0; i < Registers * key_lanes; i += lanes) {
        const __m256d s = _mm256_load_pd(row.scores + i);
        const __m256d finite = _mm256_add_pd(s, _mm256_sub_pd(s, s)); // or NaN, of which min and max take the second
        low = _mm256_min_pd(finite, low);
        high = _mm256_max_pd(finite, high);
    }
    return scale_between(lowest(low), -lowest(_mm256_sub_pd(_mm256_setzero_pd(), high)));
}

/// Keys that never order two tokens otherwise than their scores do; equal scores have equal keys.
template <std::size_t Registers>
EVICTLAB_AVX2 void make_keys(SmallRow& row, const KeyScale& scale) {
    const __m256d middle = _mm256_set1_pd(scale.middle), steps = _mm256_set1_pd(scale.steps);
    for (std::size_t i = 0; i < Registers * key_lanes; i += key_lanes) {
        __m128i four[4];
        for (std::size_t v = 0; v < 4; ++v) {
            const __m256d s = _mm256_sub_pd(_mm256_load_pd(row.scores + i + v * lanes), middle);
            const __m256d bounded = _mm256_min_pd(_mm256_mul_pd(s, steps), _mm256_set1_pd(key_limit));
            four[v] = _mm256_cvttpd_epi32(bounded); // what lies too low becomes the lowest integer
        }
        const __m256i keys = _mm256_packs_epi32(_mm256_inserti128_si256(_mm256_castsi128_si256(four[0]), four[2], 1),
                                                _mm256_inserti128_si256(_mm256_castsi128_si256(four[1]), four[3], 1));
        _mm256_store_si256(reinterpret_cast<__m256i*>(row.keys + i),
                           _mm256_max_epi16(keys, _mm256_set1_epi16(-key_limit)));
    }
}

/// Every token against all: of equal keys the one at the lower position comes first.
template <std::size_t Registers>
EVICTLAB_AVX2 void rank_keys(const SmallRow& row, std::size_t n, __m256i* before) {
    alignas(32) static constexpr short up_to_lane[2 * key_lanes] = {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1};
    __m256i mine[Registers]; // lowered by one in registers behind the token's own, so that "above" is "above or equal"
    for (std::size_t v = 0; v < Registers; ++v) {
        const auto* keys = reinterpret_cast<const __m256i*>(row.keys + v * key_lanes);
        mine[v] = _mm256_sub_epi16(_mm256_load_si256(keys), _mm256_set1_epi16(1));
        before[v] = _mm256_setzero_si256();
    }
#pragma GCC unroll 4
    for (std::size_t own = 0; own < Registers; ++own) {
        const std::size_t there = own + 1 < Registers ? key_lanes : n - own * key_lanes; // padding comes before nothing
        const short* keys = row.keys + own * key_lanes;
        const short* up_to = up_to_lane + key_lanes - 1;
#pragma GCC unroll 1
        for (std::size_t lane = 0; lane < there; ++lane) {
            const __m256i other = _mm256_set1_epi16(keys[lane]);
            const __m256i earlier = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(up_to - lane));
#pragma GCC unroll 4
            for (std::size_t v = 0; v < Registers; ++v) {
                const __m256i key = v == own ? _mm256_add_epi16(mine[v], earlier) : mine[v];
                before[v] = _mm256_sub_epi16(before[v], _mm256_cmpgt_epi16(other, key));
            }
        }
        mine[own] = _mm256_add_epi16(mine[own], _mm256_set1_epi16(1));
    }
}

template <std::size_t Registers>
EVICTLAB_AVX2 void widen_ranks(const __m256i* ranks, SmallRow& row) {
    auto* to = reinterpret_cast<__m256i*>(row.ranks);
    for (std::size_t v = 0; v < Registers; ++v) {
        const __m128i first = _mm256_castsi256_si128(ranks[v]), second = _mm256_extracti128_si256(ranks[v], 1);
        _mm256_store_si256(to++, _mm256_cvtepi16_epi64(first));
        _mm256_store_si256(to++, _mm256_cvtepi16_epi64(_mm_unpackhi_epi64(first, first)));
        _mm256_store_si256(to++, _mm256_cvtepi16_epi64(second));
        _mm256_store_si256(to++, _mm256_cvtepi16_epi64(_mm_unpackhi_epi64(second, second)));
    }
}

/// Whether keys alone show that no other token has as high a score as those with a rank below `kept`.
template <std::size_t Registers>
EVICTLAB_AVX2 bool is_cut_by_keys(const SmallRow& row, const __m256i* ranks, std::size_t kept) {
    const __m256i limit = _mm256_set1_epi16(static_cast<short>(kept)), none = _mm256_set1_epi16(key_limit);
    __m256i lowest_kept = none, lowest_negative = none; // of the others
    for (std::size_t v = 0; v < Registers; ++v) {
        const __m256i key = _mm256_load_si256(reinterpret_cast<const __m256i*>(row.keys + v * key_lanes));
        const __m256i negative = _mm256_sub_epi16(_mm256_setzero_si256(), key);
        const __m256i is_kept = _mm256_cmpgt_epi16(limit, ranks[v]);
        lowest_kept = _mm256_min_epi16(lowest_kept, _mm256_blendv_epi8(none, key, is_kept));
        lowest_negative = _mm256_min_epi16(lowest_negative, _mm256_blendv_epi8(negative, none, is_kept));
    }
    return lowest(lowest_kept) > -lowest(lowest_negative);
}

/// The lowest score that is kept and the highest that is not. Where they are the wrong way round, the tokens that were
/// told apart wrongly lie between them.
struct Border {
    double kept = infinity, left = -infinity;
    bool is_wrong() const { return kept < left; }
};

/// The same by the scores. Tokens of equal scores have equal keys and so were ranked by position.
template <std::size_t Registers>
EVICTLAB_AVX2 Border border_of(const SmallRow& row, __m256i limit) {
    const __m256d none = _mm256_set1_pd(infinity);
    __m256d lowest_kept = none, lowest_negative = none; // of the others
    for (std::size_t i = 0; i < Registers * key_lanes; i += lanes) {
        const __m256d s = _mm256_load_pd(row.scores + i), negative = _mm256_sub_pd(_mm256_setzero_pd(), s);
        const __m256i rank = _mm256_load_si256(reinterpret_cast<const __m256i*>(row.ranks + i));
        const __m256d is_kept = _mm256_castsi256_pd(_mm256_cmpgt_epi64(limit, rank));
        lowest_kept = _mm256_min_pd(lowest_kept, _mm256_blendv_pd(none, s, is_kept));
        lowest_negative = _mm256_min_pd(lowest_negative, _mm256_blendv_pd(negative, none, is_kept));
    }
    return {lowest(lowest_kept), -lowest(lowest_negative)};
}

/// In the order of lanes.hpp's total().
EVICTLAB_AVX2 double total_of(__m256d a, __m256d b) {
    return ((a[0] + a[1]) + (a[2] + a[3])) + ((b[0] + b[1]) + (b[2] + b[3]));
}

EVICTLAB_AVX2 double sum_kept(const SmallRow& row, const double* mass, std::size_t n, __m256i limit) {
    __m256d sums[2] = {_mm256_setzero_pd(), _mm256_setzero_pd()};
    for (std::size_t i = 0; i < padded(n); i += 2 * lanes)
        for (std::size_t half = 0; half < 2; ++half) {
            const std::size_t at = i + half * lanes;
            const __m256i rank = _mm256_load_si256(reinterpret_cast<const __m256i*>(row.ranks + at));
            const __m256d is_kept = _mm256_castsi256_pd(_mm256_cmpgt_epi64(limit, rank));
            sums[half] = _mm256_add_pd(sums[half], _mm256_and_pd(_mm256_loadu_pd(mass + at), is_kept));
        }
    return total_of(sums[0], sums[1]);
}

/// What tries at one row have come to.
struct Tries {
    std::uint64_t done = 0;                                ///< a bit for each budget
    Border wrong;                                          ///< of the last try, over all budgets
    double lowest_cut = infinity, highest_cut = -infinity; ///< known where one try was not enough
};

/// One try, with keys of this scale, at the budgets that are not done.
template <std::size_t Registers>
EVICTLAB_AVX2 void try_scale(SmallRow& row, const KeyScale& scale, const double* mass, std::size_t n,
                             std::span<const std::size_t> kept, double* kept_mass, Tries& tries) {
    __m256i ranks[Registers];
    make_keys<Registers>(row, scale);
    rank_keys<Registers>(row, n, ranks);
    widen_ranks<Registers>(ranks, row);
    const bool is_first = tries.done == 0;
    std::uint64_t done_now = 0;
    tries.wrong = {};
    for (std::size_t b = 0; b < kept.size(); ++b) {
        if ((tries.done >> b & 1) != 0) continue;
        const __m256i limit = _mm256_set1_epi64x(static_cast<long long>(kept[b]));
        if (!is_cut_by_keys<Registers>(row, ranks, kept[b])) {
            const Border border = border_of<Registers>(row, limit);
            if (border.is_wrong()) {
                tries.wrong = {std::min(border.kept, tries.wrong.kept), std::max(border.left, tries.wrong.left)};
                continue;
            }
        }
        kept_mass[b] = sum_kept(row, mass, n, limit);
        done_now |= std::uint64_t{1} << b;
    }
    tries.done |= done_now;
    if (is_first && !tries.wrong.is_wrong()) return;
    for (std::size_t b = 0; b < kept.size(); ++b) {
        if ((done_now >> b & 1) == 0) continue;
        const double cut = border_of<Registers>(row, _mm256_set1_epi64x(static_cast<long long>(kept[b]))).kept;
        tries.lowest_cut = std::min(cut, tries.lowest_cut);
        tries.highest_cut = std::max(cut, tries.highest_cut);
    }
}

template <std::size_t Registers>
__attribute__((target("avx2"))) bool cut_avx2(const double* scores, const double* mass, std::size_t n,
                                              std::span<const std::size_t> kept, KeyScale& guess, double* kept_mass) {
    constexpr int most_tries = 3;
    SmallRow row;
    if (!take_scores<Registers>(scores, n, row)) return false;
    KeyScale scale = guess.steps > 0 ? guess : scale_of_all<Registers>(row);
    Tries tries;
    try_scale<Registers>(row, scale, mass, n, kept, kept_mass, tries);
    for (int i = 1; i < most_tries && tries.wrong.is_wrong(); ++i) {
        scale = scale_between(tries.wrong.kept, tries.wrong.left);
        try_scale<Registers>(row, scale, mass, n, kept, kept_mass, tries);
    }
    if (tries.wrong.is_wrong()) {
        cut_small_by_scores(scores, mass, n, kept, kept_mass);
        scale = {};
    } else if (tries.highest_cut > tries.lowest_cut) { // the next row is cut near there
        const double room = tries.highest_cut - tries.lowest_cut;
        scale = scale_between(tries.lowest_cut - room, tries.highest_cut + room);
    }
    guess = scale;
    return true;
}
#endif

bool cut_portable(const double* scores, const double* mass, std::size_t n, std::span<const std::size_t> kept,
                  double* kept_mass) {
    if (count_nan(scores, n) != 0) return false;
    cut_small_by_scores(scores, mass, n, kept, kept_mass);
    return true;
}

} // namespace

bool cut_small(const double* scores, const double* mass, std::size_t n, std::span<const std::size_t> kept,
               [[maybe_unused]] KeyScale& guess, double* kept_mass) {
#if defined(__x86_64__)
    static const bool has_avx2 = __builtin_cpu_supports("avx2") != 0;
    static_assert(small_row == 4 * key_lanes);
    if (has_avx2 && kept.size() <= most_budgets) switch ((n + key_lanes - 1) / key_lanes) {
        case 1:
            return cut_avx2<1>(scores, mass, n, kept, guess, kept_mass);
        case 2:
            return cut_avx2<2>(scores, mass, n, kept, guess, kept_mass);
        case 3:
            return cut_avx2<3>(scores, mass, n, kept, guess, kept_mass);
        default:
            return cut_avx2<4>(scores, mass, n, kept, guess, kept_mass);
        }
#endif
    return cut_portable(scores, mass, n, kept, kept_mass);
}

} // namespace evictlab
