// How AdaKV divides a layer's budget among its heads; CriticalAdaKV does it the same way.
// SPDX-License-Identifier: MIT
#pragma once
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <span>
#include <vector>

/// Sets kept[h] to how many of the layer's `total` best tokens lie in head h, given scores [heads][n]: first the best
/// `pinned` of each head, whatever the others have, then the highest of the rest. Scores may be infinite. Among equal
/// ones the lower head comes first.
inline void share_among_heads(std::span<const double> scores, std::size_t pinned, std::size_t total,
                              std::span<std::uint64_t> kept) {
    const std::size_t n = scores.size() / kept.size(), sure = std::min({pinned, n, total / kept.size()});
    std::vector<double> rest;
    for (std::size_t h = 0; h < kept.size(); ++h) {
        std::vector<double> head(scores.begin() + static_cast<std::ptrdiff_t>(h * n),
                                 scores.begin() + static_cast<std::ptrdiff_t>((h + 1) * n));
        const auto behind = head.begin() + static_cast<std::ptrdiff_t>(sure);
        std::nth_element(head.begin(), behind, head.end(), std::greater{});
        rest.insert(rest.end(), behind, head.end());
    }
    std::ranges::fill(kept, sure);
    const std::size_t left = std::min(total - sure * kept.size(), rest.size());
    if (left == 0) return;
    std::vector<double> order = rest;
    const auto last = order.begin() + static_cast<std::ptrdiff_t>(left) - 1;
    std::nth_element(order.begin(), last, order.end(), std::greater{});
    const double boundary = *last;
    auto ties = left - static_cast<std::size_t>(std::ranges::count_if(rest, [&](double s) { return s > boundary; }));
    for (std::size_t i = 0; i < rest.size(); ++i) {
        if (rest[i] < boundary || (rest[i] == boundary && ties == 0)) continue;
        if (rest[i] == boundary) --ties;
        ++kept[i / (n - sure)];
    }
}

/// The base's score as a wrapper ranks it that keeps a window of its own above all, the base's `keep` included.
inline double below_keep(double base) { return std::min(base, std::numeric_limits<double>::max()); }

/// The best tokens of each head that its budget always covers: a share `alpha` of K.
inline std::size_t safeguarded(std::size_t kept, double alpha, bool at_least_one) {
    const auto share = static_cast<std::size_t>(static_cast<double>(kept) * alpha);
    return alpha > 0 && at_least_one ? std::max<std::size_t>(share, 1) : share;
}
