// SPDX-License-Identifier: MIT
#include "framework/attention/softmax.hpp"

#include <algorithm>
#include <bit>
#include <cstdint>
#include <limits>

#include "base/numeric/clones.hpp"

namespace evictlab {
namespace {

constexpr std::size_t lanes = 16;
constexpr std::size_t chunk = 256; // lanes are summed in single precision over so many values at most

/// exp for x <= 0, within two units in the last place; 0 below -87.
EVICTLAB_INLINE float exp_of_negative(float x) {
    const float bounded = x < -87.0F ? -87.0F : x;
    constexpr float rounder = 0x1.8p23F;
    const float k = (bounded * 1.44269504F + rounder) - rounder;
    const float r = (bounded - k * 0.693359375F) + k * 2.12194440e-4F;
    float p = 1.9875691500e-4F;
    p = p * r + 1.3981999507e-3F;
    p = p * r + 8.3334519073e-3F;
    p = p * r + 4.1665795894e-2F;
    p = p * r + 1.6666665459e-1F;
    p = p * r + 5.0000001201e-1F;
    const float value = (p * (r * r) + r) + 1.0F;
    const auto power = std::bit_cast<float>((static_cast<std::int32_t>(k) + 127) << 23);
    return x < -87.0F ? 0.0F : value * power;
}

EVICTLAB_INLINE float highest(const float* row, std::size_t n) {
    float most[lanes];
    for (std::size_t l = 0; l < lanes; ++l) most[l] = row[l];
    for (std::size_t i = lanes; i < n; i += lanes)
        for (std::size_t l = 0; l < lanes; ++l) most[l] = row[i + l] > most[l] ? row[i + l] : most[l];
    float value = most[0];
    for (std::size_t l = 1; l < lanes; ++l) value = most[l] > value ? most[l] : value;
    return value;
}

} // namespace

EVICTLAB_CLONES void softmax(float* row, std::size_t begin, std::size_t end, std::size_t stride, float scale) {
    constexpr float nothing = -std::numeric_limits<float>::infinity();
    const std::size_t n = (end + lanes - 1) / lanes * lanes;
    std::fill(row, row + begin, nothing);
    std::fill(row + end, row + n, nothing);
    const float most = highest(row, n);
    double total = 0;
    for (std::size_t first = 0; first < n; first += chunk) {
        const std::size_t last = std::min(n, first + chunk);
        float sums[lanes] = {};
        for (std::size_t i = first; i < last; i += lanes)
            for (std::size_t l = 0; l < lanes; ++l) {
                row[i + l] = exp_of_negative((row[i + l] - most) * scale);
                sums[l] += row[i + l];
            }
        for (const float s : sums) total += static_cast<double>(s);
    }
    const auto share = static_cast<float>(1 / total);
    for (std::size_t i = 0; i < n; ++i) row[i] *= share;
    std::fill(row + n, row + stride, 0.0F);
}

EVICTLAB_CLONES void mean_of_rows(const float* rows, std::size_t stride, std::size_t count, std::size_t n,
                                  double* mean) {
    const double share = 1 / static_cast<double>(count);
    for (std::size_t i = 0; i < n; ++i) mean[i] = static_cast<double>(rows[i]);
    for (std::size_t r = 1; r < count; ++r) {
        const float* row = rows + r * stride;
        for (std::size_t i = 0; i < n; ++i) mean[i] += static_cast<double>(row[i]);
    }
    for (std::size_t i = 0; i < n; ++i) mean[i] *= share;
}

} // namespace evictlab
