// The scores of DefensiveKV and LayerDefensiveKV: what any of the latest queries may want, in the worst case.
// SPDX-License-Identifier: MIT
#pragma once
#include <evictlab/scorer.hpp>

#include <algorithm>
#include <cstddef>
#include <functional>
#include <numeric>
#include <span>
#include <stdexcept>
#include <vector>

struct DefensiveScores {
    int window = 32, kernel = 5;
    bool clamp = false;

    static constexpr const char* description =
        "defensive_attn, at least its head's mean, times head_share:wov_norm; the window and what gets nine tenths of "
        "the attention above all";
    static constexpr const char* reference =
        "DefensiveKV 9251b95; Feng et al., Taming the Fragility of KV Cache Eviction, ICLR 2026";
    static constexpr evictlab::Columns columns{"defensive_attn:{window}:pool={kernel}", "head_share:wov_norm",
                                               "window_attn:{window}"};
    static constexpr evictlab::ParameterInfo window_info{
        .key = "window", .label = "window", .help = "latest queries", .min = 1, .max = 4096};
    static constexpr evictlab::ParameterInfo kernel_info{
        .key = "kernel", .label = "kernel", .help = "of the pooling, odd, in tokens", .min = 1, .max = 255};
    static constexpr evictlab::ParameterInfo clamp_info{
        .key = "clamp",
        .help = "pin no token where the budget has no room for it; else, as the authors' program, nearly all",
        .evolvable = false};
    static constexpr evictlab::Preset presets[] = {
        {"paper", "the authors' program, its fault at small budgets included", {}, evictlab::Standing::published},
        {"sane", "the same without the fault: at small budgets nothing but the window is pinned", {{"clamp", 1}}}};

    template <class Scorer>
    void score_layer(evictlab::Batch<Scorer> batch, std::span<double> scores) const {
        if (batch.tokens() <= static_cast<std::size_t>(window))
            throw std::invalid_argument("needs more tokens than its window");
        const std::size_t m = batch.tokens() - static_cast<std::size_t>(window); // before the window
        double highest = 0, near_window = 0;
        for (std::size_t h = 0; h < batch.heads(); ++h) {
            const auto attention = batch.head(h)["defensive_attn"].first(m), share = batch.head(h)["head_share"];
            const auto mean = batch.head(h)["window_attn"].first(m);
            const double floor = std::accumulate(attention.begin(), attention.end(), 0.0) / static_cast<double>(m);
            const auto out = batch.row(scores, h);
            for (std::size_t i = 0; i < m; ++i)
                highest = std::max(highest, out[i] = std::max(attention[i], floor) * share[i]);
            const auto last = mean.last(std::min(m, static_cast<std::size_t>(window)));
            near_window += std::accumulate(last.begin(), last.end(), 0.0) / static_cast<double>(batch.heads());
        }
        for (std::size_t h = 0; h < batch.heads(); ++h) {
            const auto mean = batch.head(h)["window_attn"].first(m);
            for (const std::size_t i : pinned(mean, 0.9 - near_window, batch.removed_fraction()))
                batch.row(scores, h)[i] = highest;
            std::ranges::fill(batch.row(scores, h).subspan(m), highest);
        }
    }

    // The tokens of most attention, as many as have less than the threshold together, but for what the budget has room
    // for: if it has none, that number is negative, and the authors' slice [:-3] means all tokens but 3.
    std::vector<std::size_t> pinned(std::span<const double> mean, double threshold, double removed_fraction) const {
        const double total = std::accumulate(mean.begin(), mean.end(), 0.0);
        std::vector<std::size_t> order(mean.size());
        std::iota(order.begin(), order.end(), std::size_t{0});
        std::ranges::stable_sort(order, std::greater{}, [&](std::size_t i) { return mean[i]; });
        long count = 0;
        double sum = 0;
        for (std::size_t i = 0; i < order.size() && sum < threshold; ++i, ++count)
            sum += total > 0 ? mean[order[i]] / total : 0;
        count = sum < threshold ? 0 : std::max(0L, count - 1); // the token that reaches it is none of them
        const auto size = static_cast<long>(order.size());
        const auto room = static_cast<long>(static_cast<double>(size) * (1 - removed_fraction) - window);
        count = std::min(count, room);
        if (count < 0) count = clamp ? 0 : std::max(0L, size + count);
        order.resize(static_cast<std::size_t>(count));
        return order;
    }
};
