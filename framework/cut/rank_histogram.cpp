// Brackets without a guess: a histogram over the bits of the scores, whatever their scale.
// SPDX-License-Identifier: MIT
#include <algorithm>
#include <bit>

#include "framework/cut/lanes.hpp"
#include "framework/cut/rank_kernels.hpp"

namespace evictlab {
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

} // namespace evictlab
