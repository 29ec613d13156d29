// What the eviction rules of OpenVINO GenAI share: one set for all heads of a layer, and whole blocks of the paged
// cache that go, from between the first tokens and the newest. Of equal blocks the lower one goes first.
// SPDX-License-Identifier: MIT
#pragma once
#include <algorithm>
#include <cstddef>
#include <numeric>
#include <span>
#include <vector>

/// Numbers of blocks, from the first candidate on.
using OpenVinoBlockList = std::vector<std::size_t>;

/// The parts of a cache in tokens, all of them multiples of the block: CacheEvictionConfig.
struct OpenVinoAreas {
    std::size_t start, recent, max, block;

    /// Blocks that may go: `count` of them, from the block `first` of the cache on, of which `stay` do. None where the
    /// cache is not a whole block over its maximum. A last block that is not full is outside `recent`, and stays.
    struct Candidates {
        std::size_t first = 0, count = 0, stay = 0;
    };
    Candidates candidates(std::size_t tokens) const {
        if (tokens < max + block) return {};
        const std::size_t first = start / block;
        return {first, tokens / block - recent / block - first, (max - start - recent) / block};
    }
};

/// The sum of each block's tokens.
inline std::vector<double> openvino_block_values(std::span<const double> tokens, std::size_t block) {
    std::vector<double> values;
    for (std::size_t begin = 0; begin < tokens.size(); begin += block)
        values.push_back(std::accumulate(tokens.begin() + static_cast<std::ptrdiff_t>(begin),
                                         tokens.begin() + static_cast<std::ptrdiff_t>(begin + block), 0.0));
    return values;
}

/// The blocks that leave `stay` of them, those of the lowest values, in order of their numbers.
inline OpenVinoBlockList openvino_lowest(std::span<const double> values, std::size_t stay) {
    OpenVinoBlockList order(values.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::ranges::stable_sort(order, {}, [&](std::size_t b) { return values[b]; });
    order.resize(values.size() - stay);
    std::ranges::sort(order);
    return order;
}
