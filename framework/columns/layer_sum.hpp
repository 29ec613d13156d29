// Of a derived column's base: the sum over all heads and tokens of a layer.
// SPDX-License-Identifier: MIT
#pragma once
#include <cstddef>

namespace evictlab::columns {

/// `values` is [heads][tokens] with this stride; head by head, in order.
inline double layer_sum(const double* values, std::size_t stride, std::size_t heads, std::size_t tokens) {
    double sum = 0;
    for (std::size_t h = 0; h < heads; ++h)
        for (std::size_t i = 0; i < tokens; ++i) sum += values[h * stride + i];
    return sum;
}

} // namespace evictlab::columns
