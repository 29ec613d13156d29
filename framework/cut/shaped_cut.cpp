// SPDX-License-Identifier: MIT
#include "framework/cut/shaped_cut.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "base/error.hpp"
#include "framework/cut/join.hpp"
#include "framework/cut/top_k.hpp"

namespace evictlab {
namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();

double block_score(std::span<const double> tokens, BlockScore by) {
    if (by == BlockScore::max || tokens.size() == 1) return std::ranges::max(tokens);
    double sum = 0;
    bool first = false;
    for (const double score : tokens) {
        if (score == infinity) return infinity;
        first = first || score == -infinity;
        if (!first) sum += score;
    }
    if (first) return -infinity;
    constexpr double largest = std::numeric_limits<double>::max();
    sum = std::clamp(sum, -largest, largest);
    return by == BlockScore::sum ? sum : sum / static_cast<double>(tokens.size());
}

struct Block {
    bool is_protected;
    double score;
    std::size_t place;                         ///< row * blocks of a row + block
    bool operator<(const Block& other) const { ///< which of two stays
        if (is_protected != other.is_protected) return is_protected;
        return score != other.score ? score > other.score : place < other.place;
    }
};

} // namespace

KeptSets shaped_cut_together(std::span<const double> scores, std::size_t n, std::size_t kept, const Shape& shape) {
    const std::size_t rows = scores.size() / n, of_row = block_count(n, shape);
    KeptSets sets(rows);
    if (shape.cuts_tokens()) {
        for (const std::uint32_t i : top_k(scores, rows * std::min(n, kept)))
            sets[i / n].push_back(static_cast<std::uint32_t>(i % n));
        return sets;
    }
    if (const std::string why = too_few(n, kept, shape); !why.empty()) throw UsageError(why);
    std::vector<Block> blocks;
    for (std::size_t at = 0; at < rows * of_row; ++at) {
        const std::size_t b = at % of_row, first = b * shape.block;
        const auto tokens = scores.subspan(at / of_row * n + first, std::min(shape.block, n - first));
        blocks.push_back({is_protected(n, b, shape), block_score(tokens, shape.block_score), at});
    }
    const std::size_t count = rows * kept_blocks(n, kept, shape);
    if (count < blocks.size())
        std::ranges::nth_element(blocks, blocks.begin() + static_cast<std::ptrdiff_t>(count), std::less<>());
    blocks.resize(count);
    std::ranges::sort(blocks, {}, &Block::place);
    for (const Block& block : blocks) {
        const std::size_t first = block.place % of_row * shape.block;
        for (std::size_t i = first; i < std::min(n, first + shape.block); ++i)
            sets[block.place / of_row].push_back(static_cast<std::uint32_t>(i));
    }
    return sets;
}

std::vector<std::uint32_t> shaped_cut(std::span<const double> scores, std::size_t kept, const Shape& shape) {
    if (shape.cuts_tokens()) return top_k(scores, kept);
    return std::move(shaped_cut_together(scores, scores.size(), kept, shape).front());
}

KeptSets layer_cut(std::span<const double> scores, std::span<const std::size_t> kept, const Shape& shape) {
    const std::size_t heads = kept.size(), n = scores.size() / heads;
    if (shape.granularity != Granularity::head)
        return {heads, shaped_cut(joined(scores, n, shape.join), kept.front(), shape)};
    KeptSets sets;
    for (std::size_t a = 0; a < heads; ++a) sets.push_back(shaped_cut(scores.subspan(a * n, n), kept[a], shape));
    return sets;
}

std::vector<std::uint32_t> model_cut(std::span<const std::span<const double>> layers, std::size_t n, std::size_t kept,
                                     const Shape& shape) {
    std::vector<std::span<const double>> rows;
    for (const auto& layer : layers)
        for (std::size_t at = 0; at < layer.size(); at += n) rows.push_back(layer.subspan(at, n));
    return shaped_cut(joined(std::span<const std::span<const double>>(rows), shape.join), kept, shape);
}

} // namespace evictlab
