// Sums over arrays, vectorised for the processor at hand with the same bits on every one. All arrays are padded.
// SPDX-License-Identifier: MIT
#pragma once
#include <cstddef>

namespace evictlab::numeric {

/// sums += row
void accumulate(const double* row, std::size_t n, double* sums);
/// sums += row - oldest; oldest = row
void slide(const double* row, std::size_t n, double* oldest, double* sums);
/// sums += -a ln a of each a of row above 1e-10
void accumulate_entropy(const double* row, std::size_t n, double* sums);

/// sums[x] += a[x], outer[x][y] += a[x] a[y], for n values.
void accumulate_outer(const double* a, std::size_t n, double* sums, double* outer);
/// a' M a of a symmetric matrix [n][n]; `scratch` has room for n.
double quadratic(const double* matrix, const double* a, std::size_t n, double* scratch);

/// values[i] = exp(scale (values[i] - the highest of them)) for n >= 1 values; their sum.
double exponentials(double* values, std::size_t n, double scale);
/// out[x] = the sum over i of weights[i] vectors[i][x], of n vectors of dim values one after another.
void weighted_sum(const float* vectors, std::size_t n, std::size_t dim, const double* weights, double* out);
/// out[i] = the sum over x of channels[x][i] point[x], of n vectors whose channels lie `stride` apart.
void products(const float* channels, std::size_t stride, std::size_t dim, const float* point, std::size_t n,
              double* out);
void products(const float* channels, std::size_t stride, std::size_t dim, const double* point, std::size_t n,
              double* out);
/// Lengths of the pairs of channels f and f + dim / 2 of the same vectors: out is [dim / 2][n].
void pair_lengths(const float* channels, std::size_t stride, std::size_t dim, std::size_t n, double* out);
/// out[i] = the sum over x of (channels[x][i] - point[x])^2, of n points whose channels lie `stride` apart.
void squared_distances(const float* channels, std::size_t stride, std::size_t dim, const double* point, std::size_t n,
                       double* out);

} // namespace evictlab::numeric
