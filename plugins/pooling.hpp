// Pooling along tokens and standard scores over a layer, as several methods of kvpress have them.
// SPDX-License-Identifier: MIT
#pragma once
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <span>
#include <vector>

/// The mean over the `kernel` nearest tokens, kernel odd; those beyond the ends count as 0.
inline void average_pool(std::span<double> values, std::size_t kernel) {
    const std::vector<double> before(values.begin(), values.end());
    const std::size_t n = values.size(), reach = kernel / 2;
    for (std::size_t i = 0; i < n; ++i) {
        double sum = 0;
        for (std::size_t j = i > reach ? i - reach : 0; j < std::min(n, i + reach + 1); ++j) sum += before[j];
        values[i] = sum / static_cast<double>(kernel);
    }
}

/// (x - mean) / max(std, 1e-6) over all values; std's divisor is count - 1.
inline void standardize(std::span<double> values) {
    const auto count = static_cast<double>(values.size());
    double mean = 0, squares = 0;
    for (const double value : values) mean += value / count;
    for (const double value : values) squares += (value - mean) * (value - mean);
    const double deviation = count > 1 ? std::max(std::sqrt(squares / (count - 1)), 1e-6) : 1;
    for (double& value : values) value = (value - mean) / deviation;
}
