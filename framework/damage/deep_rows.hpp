// Rows of attention whose own continuation has next to none of it. What eviction leaves of such a row may have so
// little that single precision holds no digit of it, or nothing at all: its softmax is taken anew, from logits.
// SPDX-License-Identifier: MIT
#pragma once
#include <cstdint>
#include <map>
#include <span>
#include <utility>
#include <vector>

#include "framework/layer/layer.hpp"

namespace evictlab {

/// Rare in real models, so that what is kept of them costs nothing. Safe to share between threads once filled.
class DeepRows {
public:
    /// A row is deep where its continuation's tokens have less than this share of the attention together.
    static constexpr float depth = 1e-10F;

    /// The row of the query at a position, `row` being its place among those that are judged.
    void add(const LayerView& layer, std::size_t head, std::size_t row, std::size_t query);
    /// The softmax over these tokens alone, the query's own among them. The row was added.
    std::vector<double> attention(std::size_t head, std::size_t row, std::span<const std::uint32_t> tokens) const;

private:
    /// [query + 1]; minus infinity outside of a sliding window.
    std::map<std::pair<std::size_t, std::size_t>, std::vector<double>> logits_;
};

} // namespace evictlab
