// SPDX-License-Identifier: MIT
#include "framework/columns/column_kernels.hpp"

#include "framework/clones.hpp"
#include "framework/vector_math.hpp"

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

} // namespace evictlab::columns
