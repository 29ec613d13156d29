// KVCrush as OpenVINO GenAI has it: of the blocks that go, a few that differ from each other are given back.
// SPDX-License-Identifier: MIT
#pragma once
#include <cstdint>
#include <functional>

#include "openvino_blocks.hpp"

/// What each block is compared with, bit by bit. OpenVINO's RANDOM repeats no figure and is not here.
enum class OpenVinoAnchor : std::uint8_t { zeros, ones, alternating, mean };

/// 1 for the half of the tokens that have the highest sums; of equal ones the lower index has it.
inline std::vector<std::uint8_t> openvino_indicators(std::span<const double> sums) {
    std::vector<std::size_t> order(sums.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::ranges::stable_sort(order, std::greater{}, [&](std::size_t i) { return sums[i]; });
    std::vector<std::uint8_t> bits(sums.size());
    for (std::size_t i = 0; i < sums.size() / 2; ++i) bits[order[i]] = 1;
    return bits;
}

/// [block]
inline std::vector<std::uint8_t> openvino_anchor(OpenVinoAnchor anchor, std::span<const std::uint8_t> bits,
                                                 std::size_t block) {
    std::vector<std::uint8_t> pattern(block);
    for (std::size_t i = 0; i < block; ++i) {
        std::size_t ones = 0;
        for (std::size_t at = i; at < bits.size(); at += block) ones += bits[at];
        pattern[i] = anchor == OpenVinoAnchor::ones || (anchor == OpenVinoAnchor::alternating && i % 2 == 1) ||
                     (anchor == OpenVinoAnchor::mean && 2 * ones > bits.size() / block);
    }
    return pattern;
}

/// The leaving blocks less `budget` of them, evenly spaced in the order of their distance from the anchor; all where
/// fewer than that leave. `sums` are those of all candidates' tokens.
inline OpenVinoBlockList openvino_without_given_back(std::span<const double> sums, OpenVinoBlockList leaving,
                                                     std::size_t block, std::size_t budget, OpenVinoAnchor anchor) {
    if (budget == 0 || leaving.size() < budget) return leaving;
    const auto bits = openvino_indicators(sums);
    const auto pattern = openvino_anchor(anchor, bits, block);
    OpenVinoBlockList order = leaving;
    std::ranges::stable_sort(order, {}, [&](std::size_t b) {
        return std::inner_product(pattern.begin(), pattern.end(), bits.begin() + static_cast<std::ptrdiff_t>(b * block),
                                  std::size_t{0}, std::plus{}, std::not_equal_to{});
    });
    for (std::size_t i = 0; i < budget; ++i) std::erase(leaving, order[i * (order.size() / budget)]);
    return leaving;
}
