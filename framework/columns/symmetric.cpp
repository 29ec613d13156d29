// SPDX-License-Identifier: MIT
#include "framework/columns/symmetric.hpp"

#include <cmath>

namespace evictlab::columns {
namespace {

/// L L' of the matrix, in its lower half.
void factorize(std::vector<double>& matrix, std::size_t dim) {
    for (std::size_t j = 0; j < dim; ++j) {
        double* const row = matrix.data() + j * dim;
        for (std::size_t x = 0; x < j; ++x) row[j] -= row[x] * row[x];
        row[j] = std::sqrt(row[j]);
        for (std::size_t i = j + 1; i < dim; ++i) {
            double* const below = matrix.data() + i * dim;
            for (std::size_t x = 0; x < j; ++x) below[j] -= below[x] * row[x];
            below[j] /= row[j];
        }
    }
}

} // namespace

std::vector<double> inverse_of_positive(std::vector<double> matrix, std::size_t dim) {
    factorize(matrix, dim);
    // Row c of `half` is column c of L's inverse, which is 0 above its diagonal.
    std::vector<double> half(dim * dim), inverse(dim * dim);
    for (std::size_t c = 0; c < dim; ++c)
        for (std::size_t i = c; i < dim; ++i) {
            double sum = i == c ? 1 : 0;
            for (std::size_t x = c; x < i; ++x) sum -= matrix[i * dim + x] * half[c * dim + x];
            half[c * dim + i] = sum / matrix[i * dim + i];
        }
    for (std::size_t a = 0; a < dim; ++a)
        for (std::size_t b = 0; b <= a; ++b) {
            double sum = 0;
            for (std::size_t x = a; x < dim; ++x) sum += half[a * dim + x] * half[b * dim + x];
            inverse[a * dim + b] = inverse[b * dim + a] = sum;
        }
    return inverse;
}

} // namespace evictlab::columns
