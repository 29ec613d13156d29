// What the eviction rules of OpenVINO GenAI share as scorers: one set for all heads of a layer, in whole blocks.
// SPDX-License-Identifier: MIT
#pragma once
#include <evictlab/scorer.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <stdexcept>
#include <vector>

#include "openvino_blocks.hpp"

/// A rule's parameters, and from its blocks to scores. Its retention sets the maximum where `max` does not.
struct OpenVinoRule {
    int start = 32, recent = 128, max = 0, block = 32, snapkv = 8;
    bool within = false;

    static constexpr const char* reference = "OpenVINO GenAI da1db86, CacheEvictionConfig";
    static constexpr evictlab::ParameterInfo start_info{
        .key = "start", .help = "first tokens always kept: whole blocks", .min = 1, .max = 1 << 20, .evolvable = false};
    static constexpr evictlab::ParameterInfo recent_info{.key = "recent",
                                                         .help = "newest tokens always kept: whole blocks",
                                                         .min = 1,
                                                         .max = 1 << 20,
                                                         .evolvable = false};
    static constexpr evictlab::ParameterInfo max_info{
        .key = "max",
        .label = "max_cache_size",
        .help = "tokens that stay, whole blocks, but for a last one that is not full; 0: as the retention wants",
        .max = 1 << 20,
        .evolvable = false};
    static constexpr evictlab::ParameterInfo block_info{
        .key = "block", .help = "tokens of a block of the paged cache", .min = 1, .max = 4096, .evolvable = false};
    static constexpr evictlab::ParameterInfo snapkv_info{
        .key = "snapkv", .label = "snapkv_window_size", .help = "latest queries that count; 0: all", .max = 4096};
    static constexpr evictlab::ParameterInfo pool_info{
        .key = "pool", .help = "tokens of the pooling, the token and those that follow", .min = 1, .max = 1023};
    static constexpr evictlab::ParameterInfo within_info{
        .key = "within",
        .help =
            "all that stays is part of what the retention allows: recent, then start, gives way to a block to choose",
        .evolvable = false};

    void prepare() const {
        if (start % block != 0 || recent % block != 0 || max % block != 0)
            throw std::invalid_argument("start, recent and max must be multiples of block");
        if (max > 0 && max <= start + recent) throw std::invalid_argument("max must be more than start + recent");
    }

    /// Whole blocks that the retention allows: at least one, beside a last block that is not full.
    std::size_t blocks_allowed(std::size_t tokens, std::size_t kept) const {
        const auto length = static_cast<std::size_t>(block);
        return std::max<std::size_t>(1, (kept - std::min(kept, tokens % length)) / length);
    }

    /// `beyond`: blocks that the rule keeps beyond the maximum; fewer than are allowed where these count.
    OpenVinoAreas areas(std::size_t tokens, std::size_t kept, std::size_t beyond) const {
        const auto size = [](int value) { return static_cast<std::size_t>(value); };
        OpenVinoAreas made{size(start), size(recent), size(max), size(block)};
        if (max > 0) return made;
        if (within) { // one block to choose at least
            made.max = (blocks_allowed(tokens, kept) - beyond) * made.block;
            made.start = std::min(made.start, made.max - made.block);
            made.recent = std::min(made.recent, made.max - made.block - made.start);
        } else { // OpenVINO refuses any less
            made.max = std::max(kept / made.block * made.block, made.start + made.recent + made.block);
        }
        return made;
    }

    /// 1 for tokens that stay, 0 for those of the blocks that `leaving(candidates)` lists.
    template <class Scorer, class Leaving>
    void score_blocks(evictlab::Batch<Scorer> batch, std::span<double> scores, Leaving leaving,
                      std::size_t beyond = 0) const {
        std::ranges::fill(scores, 1.0);
        const auto candidates = areas(batch.tokens(), asked_of(batch), beyond).candidates(batch.tokens());
        if (candidates.count == 0) return;
        const auto length = static_cast<std::size_t>(block);
        for (const std::size_t b : leaving(candidates))
            for (std::size_t h = 0; h < batch.heads(); ++h)
                std::ranges::fill(batch.row(scores, h).subspan((candidates.first + b) * length, length), 0.0);
    }

    /// K, of which batch.kept() is made by layer_budget().
    static std::size_t asked_of(const evictlab::Layer& layer) {
        const double removed = layer.removed_fraction();
        const auto share = static_cast<std::size_t>(static_cast<double>(layer.tokens()) * (1.0 - removed));
        return removed >= 1 ? 0 : std::max<std::size_t>(1, share);
    }

    std::size_t layer_budget(const evl_budget_query& query) const { return left_of(query.tokens, query.kept, 0); }

    /// Tokens that stay; where at least `beyond` blocks would go, these do, too.
    std::size_t left_of(std::size_t tokens, std::size_t kept, std::size_t beyond) const {
        const auto candidates = areas(tokens, kept, beyond).candidates(tokens);
        const std::size_t leaving = candidates.count - candidates.stay;
        return tokens - (leaving < beyond ? leaving : leaving - beyond) * static_cast<std::size_t>(block);
    }

    /// A column's values at the candidates' tokens; those of one head are those of all.
    std::span<const double> at(OpenVinoAreas::Candidates candidates, std::span<const double> column) const {
        const auto length = static_cast<std::size_t>(block);
        return column.subspan(candidates.first * length, candidates.count * length);
    }

    /// Each over the queries that could count for the token: the latest `snapkv`, or all that came after it.
    std::vector<double> per_query(OpenVinoAreas::Candidates candidates, std::span<const double> column) const {
        const std::size_t n = column.size(), from = candidates.first * static_cast<std::size_t>(block);
        const std::size_t window = snapkv > 0 ? static_cast<std::size_t>(snapkv) : n;
        const auto sums = at(candidates, column);
        std::vector<double> values;
        for (std::size_t i = 0; i < sums.size(); ++i)
            values.push_back(sums[i] / static_cast<double>(std::min(window, n - from - i)));
        return values;
    }
};
