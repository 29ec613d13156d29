// SPDX-License-Identifier: MIT
#include "framework/cut/budget.hpp"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "base/option_error.hpp"

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

std::vector<std::size_t> kept_counts(std::size_t n, std::span<const double> retentions,
                                     std::span<const std::size_t> keep) {
    std::vector<std::size_t> counts;
    for (const std::size_t tokens : keep) counts.push_back(std::min(n, tokens));
    if (keep.empty())
        for (const double r : retentions) counts.push_back(kept_count_for_removed(n, 1.0 - r));
    return counts;
}

double removed_fraction_for_kept(std::size_t n, std::size_t kept) {
    if (kept >= n) return 0;
    double removed = 1.0 - static_cast<double>(kept) / static_cast<double>(n);
    while (kept_count_for_removed(n, removed) < kept) removed = std::nextafter(removed, 0.0);
    return removed;
}

std::vector<double> mean_shares(std::span<const std::size_t> keep, std::span<const std::size_t> prompts) {
    std::vector<double> shares;
    for (const std::size_t tokens : keep) {
        if (tokens == 0) throw OptionError("keep", "is 0, but must be a whole number above 0");
        double sum = 0;
        for (const std::size_t n : prompts) sum += static_cast<double>(std::min(n, tokens)) / static_cast<double>(n);
        const double share = std::max(1.0, std::round(1e6 * sum / static_cast<double>(prompts.size()))) / 1e6;
        if (std::ranges::find(shares, share) != shares.end())
            throw OptionError("keep", fmt::format("has {} and another number that keeps the same tokens", tokens));
        shares.push_back(share);
    }
    return shares;
}

} // namespace evictlab
