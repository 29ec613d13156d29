// Sums over the elements of keys and values, in double precision.
// SPDX-License-Identifier: MIT
#pragma once
#include <cmath>
#include <cstddef>

namespace evictlab::numeric {

inline double dot(const float* a, const float* b, std::size_t n) {
    double sum = 0;
    for (std::size_t i = 0; i < n; ++i) sum += static_cast<double>(a[i]) * static_cast<double>(b[i]);
    return sum;
}
inline double norm(const float* a, std::size_t n) { return std::sqrt(dot(a, a, n)); }

} // namespace evictlab::numeric
