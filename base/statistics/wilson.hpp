// The interval of a share: Wilson's (1927, Journal of the American Statistical Association 22, "Probable inference, the
// law of succession, and statistical inference"), which has a width where all of few examples agree.
// SPDX-License-Identifier: MIT
#pragma once
#include <algorithm>
#include <cmath>

#include "base/statistics/bootstrap.hpp"

namespace evictlab {

/// The 95 % interval of a share in [0, 1] of so many examples. Of examples that can be partly right it is too wide
/// rather than too narrow: values between 0 and 1 vary less than those that are 0 or 1.
inline Interval wilson(double share, double examples) {
    constexpr double z = 1.959963984540054;
    const double scale = 1 / (1 + z * z / examples), middle = share + z * z / (2 * examples);
    const double half = z * std::sqrt(share * (1 - share) / examples + z * z / (4 * examples * examples));
    return {std::max(0.0, scale * (middle - half)), std::min(1.0, scale * (middle + half))};
}

} // namespace evictlab
