// SPDX-License-Identifier: MIT
#include "framework/capture/capture_kernels.hpp"

#include <algorithm>
#include <bit>
#include <cstdint>
#include <cstring>

#include "framework/clones.hpp"

namespace evictlab {

static_assert(std::endian::native == std::endian::little, "stored values are read as they are");

EVICTLAB_INLINE static float half_to_float(std::uint16_t half) {
    const auto magnitude = static_cast<std::uint32_t>(half & 0x7fffu);
    const float scaled = std::bit_cast<float>(magnitude << 13) * 0x1p112f; // exact, subnormals too
    const std::uint32_t special = magnitude >= 0x7c00u ? 0x7f800000u : 0u; // infinity and NaN keep their meaning
    const std::uint32_t sign = static_cast<std::uint32_t>(half & 0x8000u) << 16;
    return std::bit_cast<float>(std::bit_cast<std::uint32_t>(scaled) | special | sign);
}

void floats_from_f32(const std::byte* from, std::size_t n, float* to) {
    if (n > 0) std::memcpy(to, from, n * sizeof(float));
}

EVICTLAB_CLONES void floats_from_f16(const std::byte* from, std::size_t n, float* to) {
    for (std::size_t i = 0; i < n; ++i) {
        std::uint16_t half;
        std::memcpy(&half, from + 2 * i, sizeof half);
        to[i] = half_to_float(half);
    }
}

EVICTLAB_CLONES void floats_from_bf16(const std::byte* from, std::size_t n, float* to) {
    for (std::size_t i = 0; i < n; ++i) {
        std::uint16_t upper;
        std::memcpy(&upper, from + 2 * i, sizeof upper);
        to[i] = std::bit_cast<float>(static_cast<std::uint32_t>(upper) << 16);
    }
}

EVICTLAB_CLONES void floats_from_i8(const std::byte* from, float scale, std::size_t n, float* to) {
    for (std::size_t i = 0; i < n; ++i) to[i] = scale * static_cast<float>(static_cast<std::int8_t>(from[i]));
}

EVICTLAB_CLONES bool all_finite(const float* values, std::size_t n) {
    std::uint32_t bad = 0;
    for (std::size_t i = 0; i < n; ++i)
        bad |= (std::bit_cast<std::uint32_t>(values[i]) & 0x7f800000u) == 0x7f800000u ? 1u : 0u;
    return bad == 0;
}

EVICTLAB_CLONES void scaled_products(const float* query, const float* keys, std::size_t stride, std::size_t dim,
                                     double scale, std::size_t begin, std::size_t end, double* to) {
    constexpr std::size_t block = 512; // of `to`, which stays in the first-level cache
    for (std::size_t first = begin; first < end; first += block) {
        const std::size_t last = std::min(first + block, end);
        for (std::size_t j = first; j < last; ++j) to[j] = 0;
        std::size_t t = 0;
        for (; t + 4 <= dim; t += 4) {
            const double q0 = query[t], q1 = query[t + 1], q2 = query[t + 2], q3 = query[t + 3];
            const float* k = keys + t * stride;
            for (std::size_t j = first; j < last; ++j)
                to[j] = (((to[j] + q0 * k[j]) + q1 * k[stride + j]) + q2 * k[2 * stride + j]) + q3 * k[3 * stride + j];
        }
        for (; t < dim; ++t)
            for (std::size_t j = first; j < last; ++j) to[j] += static_cast<double>(query[t]) * keys[t * stride + j];
        for (std::size_t j = first; j < last; ++j) to[j] *= scale;
    }
}

} // namespace evictlab
