// SPDX-License-Identifier: MIT
#pragma once
#include <cstddef>
#include <vector>

namespace evictlab::columns {

/// The inverse of a symmetric positive definite matrix [dim][dim].
std::vector<double> inverse_of_positive(const std::vector<double>& matrix, std::size_t dim);
/// Some R [dim][dim], row-major, with R'R = the symmetric matrix [dim][dim], which has no negative eigenvalue.
std::vector<double> root_of_gram(const double* matrix, std::size_t dim);

} // namespace evictlab::columns
