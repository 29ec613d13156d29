// SPDX-License-Identifier: MIT
#include "framework/columns/pooling.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "base/error.hpp"

namespace evictlab::columns {

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

void require_odd(std::string_view column, std::size_t kernel) {
    if (kernel % 2 == 0) throw UsageError(fmt::format("column '{}': pool must be odd, as SnapKV's kernel is", column));
}

} // namespace evictlab::columns
