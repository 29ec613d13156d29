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
    static constexpr evictlab::ThresholdParameters<Threshold> threshold{&Threshold::t, &Threshold::window};
    // kvpress's is not in `all`: what it keeps follows from t, the base and the model, not from a table's retention.
    static constexpr evictlab::Preset presets[] = {
        {"kvpress", "a window of 128; the threshold t is the user's", {}, evictlab::Standing::published_by_name},
        {"matched",
         "the same, with the t for each retention that keeps so much on the suite's train split",
         {},
         evictlab::Standing::matched,
         "knorm@kvpress"}};

    void score(evictlab::Head<Threshold> head, std::span<double> out) const {
        const auto base = head["base_score"];
        const std::size_t n = out.size(), newest = std::min(n, static_cast<std::size_t>(window));
        for (std::size_t i = 0; i < n; ++i) out[i] = i + newest >= n ? evictlab::keep : base[i];
    }
};
EVICTLAB_SCORER(Threshold)
