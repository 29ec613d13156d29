// A threshold in place of a budget: what scores below it goes, but for the newest tokens.
// SPDX-License-Identifier: MIT
#include <evictlab/scorer.hpp>

#include <algorithm>

struct Threshold {
    double t = 0;
    int window = 128;

    static constexpr evictlab::Info info{
        .id = "threshold",
        .name = "Threshold",
        .description = "base_score, the window's tokens above all; those and what is not below the threshold are "
                       "kept, whatever the budget is",
        .reference = "NVIDIA kvpress 0.5.5, DMSPress; Lancucki et al. 2025, Dynamic Memory Sparsification, "
                     "arXiv:2506.05345"};
    static constexpr evictlab::Columns columns{"base_score"};
    static constexpr evictlab::Parameter<Threshold> parameters[] = {
        {&Threshold::t, {.key = "t", .label = "threshold", .help = "of the base's score", .min = -1e9, .max = 1e9}},
        {&Threshold::window, {.key = "window", .help = "newest tokens that stay", .min = 1, .max = 1 << 20}}};
    // Not in `all`: what a threshold keeps follows from the base and the model, not from the retention of the table.
    static constexpr evictlab::Preset presets[] = {
        {"kvpress", "a window of 128; the threshold t is the user's", {}, evictlab::Standing::published_by_name}};

    void score(evictlab::Head<Threshold> head, std::span<double> out) const {
        const auto base = head["base_score"];
        const std::size_t n = out.size(), newest = std::min(n, static_cast<std::size_t>(window));
        for (std::size_t i = 0; i < n; ++i) out[i] = i + newest >= n ? evictlab::keep : base[i];
    }

    void head_budgets(evictlab::Batch<Threshold> batch, std::span<const double> scores,
                      std::span<std::uint64_t> kept) const {
        for (std::size_t h = 0; h < batch.heads(); ++h)
            kept[h] = static_cast<std::uint64_t>(
                std::ranges::count_if(batch.row(scores, h), [&](double score) { return score >= t; }));
    }
};
EVICTLAB_SCORER(Threshold)
