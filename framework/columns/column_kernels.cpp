// SPDX-License-Identifier: MIT
#include "framework/columns/column_kernels.hpp"

#include "base/numeric/clones.hpp"
#include "base/numeric/vector_math.hpp"

namespace evictlab::columns {

EVICTLAB_CLONES void accumulate(const double* row, std::size_t n, double* sums) {
    for (std::size_t i = 0; i < n; ++i) sums[i] += row[i];
}

EVICTLAB_CLONES void slide(const double* __restrict row, std::size_t n, double* __restrict oldest,
                           double* __restrict sums) {
    for (std::size_t i = 0; i < n; ++i) {
        sums[i] += row[i] - oldest[i];
        oldest[i] = row[i];
    }
}

EVICTLAB_CLONES void accumulate_entropy(const double* __restrict row, std::size_t n, double* __restrict sums) {
    for (std::size_t i = 0; i < n; ++i) {
        const double a = row[i] > 1e-10 ? row[i] : 1.0; // 1 ln 1 adds nothing
        sums[i] -= a * vector_math::log(a);
    }
}

EVICTLAB_CLONES void accumulate_outer(const double* __restrict a, std::size_t n, double* __restrict sums,
                                      double* __restrict outer) {
    for (std::size_t x = 0; x < n; ++x) {
        const double factor = a[x];
        sums[x] += factor;
        double* __restrict row = outer + x * n;
        for (std::size_t y = 0; y < n; ++y) row[y] += factor * a[y];
    }
}

EVICTLAB_CLONES double quadratic(const double* __restrict matrix, const double* __restrict a, std::size_t n,
                                 double* __restrict scratch) {
    for (std::size_t y = 0; y < n; ++y) scratch[y] = 0;
    for (std::size_t x = 0; x < n; ++x) {
        const double factor = a[x];
        const double* __restrict row = matrix + x * n;
        for (std::size_t y = 0; y < n; ++y) scratch[y] += factor * row[y];
    }
    double sum = 0;
    for (std::size_t y = 0; y < n; ++y) sum += scratch[y] * a[y];
    return sum;
}

} // namespace evictlab::columns
