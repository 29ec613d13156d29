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

/// Sets kept[h] to how many of the layer's `total` highest scores [heads][n] lie in head h, after the best `pinned` of
/// each head were put above all others. Among equal scores the lower head comes first.
inline void share_among_heads(std::span<const double> scores, std::size_t pinned, std::size_t total,
                              std::span<std::uint64_t> kept) {
    const std::size_t n = scores.size() / kept.size();
    std::vector<double> ranked(scores.begin(), scores.end());
    for (std::size_t h = 0; h < kept.size(); ++h) {
        const auto head = std::span(ranked).subspan(h * n, n);
        const auto behind = head.begin() + static_cast<std::ptrdiff_t>(std::min(pinned, n));
        std::nth_element(head.begin(), behind, head.end(), std::greater{});
        std::fill(head.begin(), behind, std::numeric_limits<double>::max());
    }
    std::ranges::fill(kept, std::uint64_t{0});
    if (total == 0) return;
    std::vector<double> order = ranked;
    const auto last = order.begin() + static_cast<std::ptrdiff_t>(std::min(total, order.size())) - 1;
    std::nth_element(order.begin(), last, order.end(), std::greater{});
    const double boundary = *last;
    auto ties = total - static_cast<std::size_t>(std::ranges::count_if(ranked, [&](double s) { return s > boundary; }));
    for (std::size_t i = 0; i < ranked.size(); ++i) {
        if (ranked[i] < boundary || (ranked[i] == boundary && ties == 0)) continue;
        if (ranked[i] == boundary) --ties;
        ++kept[i / n];
    }
}

/// The best tokens of each head that its budget always covers: a share `alpha` of K.
inline std::size_t safeguarded(std::size_t kept, double alpha, bool at_least_one) {
    const auto share = static_cast<std::size_t>(static_cast<double>(kept) * alpha);
    return alpha > 0 && at_least_one ? std::max<std::size_t>(share, 1) : share;
}
