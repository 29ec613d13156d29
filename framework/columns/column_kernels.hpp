// The inner loops of running columns, vectorised for the processor at hand. All arrays are padded.
// SPDX-License-Identifier: MIT
#pragma once
#include <cstddef>

namespace evictlab::columns {

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

} // namespace evictlab::columns
