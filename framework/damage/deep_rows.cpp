// SPDX-License-Identifier: MIT
#include "framework/damage/deep_rows.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace evictlab {

void DeepRows::add(const LayerView& layer, std::size_t head, std::size_t row, std::size_t query) {
    const std::size_t window = layer.sliding_window, dim = layer.shape.dim;
    std::vector<double> logits(query + 1, -std::numeric_limits<double>::infinity());
    const float* q = layer.query(head, query);
    for (std::size_t j = window > 0 && window <= query ? query + 1 - window : 0; j <= query; ++j) {
        const float* k = layer.key(head / layer.shape.group(), j);
        double product = 0;
        for (std::size_t x = 0; x < dim; ++x) product += static_cast<double>(q[x]) * static_cast<double>(k[x]);
        logits[j] = product * static_cast<double>(layer.softmax_scale);
    }
    logits_[{head, row}] = std::move(logits);
}

std::vector<double> DeepRows::attention(std::size_t head, std::size_t row,
                                        std::span<const std::uint32_t> tokens) const {
    const std::vector<double>& logits = logits_.at({head, row});
    double highest = -std::numeric_limits<double>::infinity(), total = 0;
    for (const std::uint32_t j : tokens) highest = std::max(highest, logits[j]);
    std::vector<double> shares;
    for (const std::uint32_t j : tokens) total += shares.emplace_back(std::exp(logits[j] - highest));
    for (double& share : shares) share /= total;
    return shares;
}

} // namespace evictlab
