// SPDX-License-Identifier: MIT
#include "framework/cut/top_k.hpp"

#include <algorithm>
#include <numeric>

namespace evictlab {

std::vector<std::uint32_t> top_k(std::span<const double> scores, std::size_t kept) {
    std::vector<std::uint32_t> order(scores.size());
    std::iota(order.begin(), order.end(), 0u);
    const auto cut = order.begin() + static_cast<std::ptrdiff_t>(std::min(kept, order.size()));
    if (cut != order.end())
        std::nth_element(order.begin(), cut, order.end(), [&](std::uint32_t a, std::uint32_t b) {
            return scores[a] != scores[b] ? scores[a] > scores[b] : a < b;
        });
    order.erase(cut, order.end());
    std::ranges::sort(order);
    return order;
}

} // namespace evictlab
