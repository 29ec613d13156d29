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
    static constexpr evictlab::Parameter<LayerDefensiveKv> parameters[] = {{&LayerDefensiveKv::window, window_info},
                                                                           {&LayerDefensiveKv::kernel, kernel_info},
                                                                           {&LayerDefensiveKv::clamp, clamp_info}};

    void score(evictlab::Batch<LayerDefensiveKv> batch, std::span<double> scores) const { score_layer(batch, scores); }

    // Nothing protects the window of a layer whose highest score is small, or a layer from going empty.
    void model_budgets(evictlab::Model model, std::span<std::uint64_t> kept) const {
        const auto tokens = static_cast<double>(model[0].tokens()), heads = static_cast<double>(model[0].heads());
        const double cells = tokens * (1 - model.removed_fraction()) * heads * static_cast<double>(model.size());
        share_among_layers(model, static_cast<std::size_t>(cells), kept);
    }
};
EVICTLAB_SCORER(LayerDefensiveKv)
