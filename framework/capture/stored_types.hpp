// From stored types to float, vectorised for the processor at hand.
// SPDX-License-Identifier: MIT
#pragma once
#include <cstddef>

namespace evictlab {

/// Each converts n values exactly; `from` is little-endian and need not be aligned.
void floats_from_f32(const std::byte* from, std::size_t n, float* to);
void floats_from_f16(const std::byte* from, std::size_t n, float* to);
void floats_from_bf16(const std::byte* from, std::size_t n, float* to);
/// to[i] = scale * from[i], rounded once.
void floats_from_i8(const std::byte* from, float scale, std::size_t n, float* to);

bool all_finite(const float* values, std::size_t n);

} // namespace evictlab
