// SPDX-License-Identifier: MIT
#include "framework/cut/budget.hpp"

#include <algorithm>
#include <cmath>

namespace evictlab {

std::size_t kept_count(std::size_t n, double retention) {
    const auto k = static_cast<std::size_t>(std::ceil(static_cast<double>(n) * retention));
    return std::clamp<std::size_t>(k, 1, n);
}

std::size_t kept_count_for_removed(std::size_t n, double removed_fraction) {
    if (removed_fraction >= 1) return 0;
    const double kept = static_cast<double>(n) * (1.0 - removed_fraction);
    return std::max<std::size_t>(1, static_cast<std::size_t>(kept));
}

double removed_fraction_for_kept(std::size_t n, std::size_t kept) {
    if (kept >= n) return 0;
    double removed = 1.0 - static_cast<double>(kept) / static_cast<double>(n);
    while (kept_count_for_removed(n, removed) < kept) removed = std::nextafter(removed, 0.0);
    return removed;
}

} // namespace evictlab
