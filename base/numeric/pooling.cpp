// SPDX-License-Identifier: MIT
#include "base/numeric/pooling.hpp"

#include <algorithm>

namespace evictlab::numeric {

void pool(std::span<const double> values, std::size_t kernel, Pooling pooling, double* out) {
    const std::size_t n = values.size(), reach = kernel / 2;
    for (std::size_t i = 0; i < n; ++i) {
        const std::size_t first = i > reach ? i - reach : 0, last = std::min(n, i + reach + 1);
        double value = pooling == Pooling::maximum ? values[first] : 0;
        for (std::size_t j = first; j < last; ++j)
            value = pooling == Pooling::maximum ? std::max(value, values[j]) : value + values[j];
        out[i] = pooling == Pooling::maximum ? value : value / static_cast<double>(kernel);
    }
}

} // namespace evictlab::numeric
