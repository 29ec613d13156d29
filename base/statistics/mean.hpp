// Means of plain numbers and how sure they are.
// SPDX-License-Identifier: MIT
#pragma once
#include <cmath>
#include <numeric>
#include <span>

namespace evictlab {

/// Of at least one value, summed in order.
inline double mean(std::span<const double> values) {
    return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

/// The standard error of the mean of values, from their spread about it; 0 for one value. Of paired differences it says
/// how far apart two rows of figures must be to differ.
inline double standard_error(std::span<const double> values, double about) {
    const auto count = static_cast<double>(values.size());
    double squares = 0;
    for (const double value : values) squares += (value - about) * (value - about);
    return count > 1 ? std::sqrt(squares / (count - 1) / count) : 0;
}

} // namespace evictlab
