// The inner loops of captured traces, vectorised for the processor at hand: stored types to float, and rows of q.k.
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

/// to[j] = scale * sum over t of query[t] * keys[t * stride + j], for j in [begin, end), summed in double in the order
/// of t whatever the processor. `keys` is [dim][stride].
void scaled_products(const float* query, const float* keys, std::size_t stride, std::size_t dim, double scale,
                     std::size_t begin, std::size_t end, double* to);

} // namespace evictlab
