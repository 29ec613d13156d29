// SPDX-License-Identifier: MIT
#include "framework/capture/stored_types.hpp"

#include <bit>
#include <cstdint>
#include <cstring>

#include "base/numeric/clones.hpp"

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

} // namespace evictlab
