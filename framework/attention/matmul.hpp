// The one matrix product that attention on captured traces needs, in single precision.
// SPDX-License-Identifier: MIT
#pragma once
#include <cstddef>
#include <cstdint>
#include <span>

namespace evictlab {

/// Columns of b and c come in blocks of so many; rows of matrices are padded to it.
inline constexpr std::size_t column_block = 32;
constexpr std::size_t padded_columns(std::size_t n) { return (n + column_block - 1) / column_block * column_block; }

/// c[m][n] = a[m][k] b[k][n], row-major with the given strides in floats; n is a multiple of column_block. Each element
/// is summed over k in order, without fused operations: the same bits on every processor.
void matmul(const float* a, std::size_t a_stride, const float* b, std::size_t b_stride, float* c, std::size_t c_stride,
            std::size_t m, std::size_t k, std::size_t n);

/// c[m][n] = the sum over x in `index` of a[m][x] b[x][n]: the product with a selection of rows of b, in its order.
void matmul_selected(const float* a, std::size_t a_stride, const float* b, std::size_t b_stride,
                     std::span<const std::uint32_t> index, float* c, std::size_t c_stride, std::size_t m,
                     std::size_t n);

/// to[columns][rows] from from[rows][columns]; to's rows have `stride` floats, of which those from `rows` on become 0.
void transpose(const float* from, std::size_t from_stride, std::size_t rows, std::size_t columns, float* to,
               std::size_t stride);

} // namespace evictlab
