// LayerDefensiveKV: DefensiveKV's scores, with one budget for the heads of all layers together.
// SPDX-License-Identifier: MIT
#include <evictlab/scorer.hpp>

#include "defensive_scores.hpp"
#include "model_shares.hpp"

struct LayerDefensiveKv : DefensiveScores {
    static constexpr evictlab::Info info{.id = "layer_defensivekv",
                                         .name = "LayerDefensiveKV",
                                         .description = description,
                                         .reference = reference,
                                         .budgeted = true};
    static constexpr evictlab::Parameter<LayerDefensiveKv> parameters[] = {
        {&LayerDefensiveKv::window,
         {.key = "window", .label = "window", .help = "latest queries", .min = 1, .max = 4096}},
        {&LayerDefensiveKv::kernel,
         {.key = "kernel", .label = "kernel", .help = "of the pooling, odd, in tokens", .min = 1, .max = 255}},
        {&LayerDefensiveKv::clamp,
         {.key = "clamp",
          .help = "pin no token where the budget has no room for it; else, as the authors' program, nearly all",
          .evolvable = false}}};
    static constexpr evictlab::Preset presets[] = {
        {"paper", "the authors' program, its fault at small budgets included", {}, evictlab::Standing::published},
        {"sane", "the same without the fault: at small budgets nothing but the window is pinned", {{"clamp", 1}}}};

    void score(evictlab::Batch<LayerDefensiveKv> batch, std::span<double> scores) const { score_layer(batch, scores); }

    // Nothing protects the window of a layer whose highest score is small, or a layer from going empty.
    void model_budgets(evictlab::Model model, std::span<std::uint64_t> kept) const {
        const auto tokens = static_cast<double>(model[0].tokens()), heads = static_cast<double>(model[0].heads());
        const double cells = tokens * (1 - model.removed_fraction()) * heads * static_cast<double>(model.size());
        share_among_layers(model, static_cast<std::size_t>(cells), kept);
    }
};
EVICTLAB_SCORER(LayerDefensiveKv)
