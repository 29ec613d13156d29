// DefensiveKV: what any of the latest queries may want, in the worst case; heads share the layer's budget.
// SPDX-License-Identifier: MIT
#include <evictlab/scorer.hpp>

#include "defensive_scores.hpp"
#include "head_shares.hpp"

struct DefensiveKv : DefensiveScores {
    static constexpr evictlab::Info info{.id = "defensivekv",
                                         .name = "DefensiveKV",
                                         .description = description,
                                         .reference = reference,
                                         .budgeted = true};
    static constexpr evictlab::Parameter<DefensiveKv> parameters[] = {
        {&DefensiveKv::window, {.key = "window", .label = "window", .help = "latest queries", .min = 1, .max = 4096}},
        {&DefensiveKv::kernel,
         {.key = "kernel", .label = "kernel", .help = "of the pooling, odd, in tokens", .min = 1, .max = 255}},
        {&DefensiveKv::clamp,
         {.key = "clamp",
          .help = "pin no token where the budget has no room for it; else, as the authors' program, nearly all",
          .evolvable = false}}};
    static constexpr evictlab::Preset presets[] = {
        {"paper", "the authors' program, its fault at small budgets included", {}, evictlab::Standing::published},
        {"sane", "the same without the fault: at small budgets nothing but the window is pinned", {{"clamp", 1}}}};

    void score(evictlab::Batch<DefensiveKv> batch, std::span<double> scores) const { score_layer(batch, scores); }

    void head_budgets(evictlab::Batch<DefensiveKv> batch, std::span<const double> scores,
                      std::span<std::uint64_t> kept) const {
        const auto heads = static_cast<double>(batch.heads());
        const double cells = static_cast<double>(batch.tokens()) * (1 - batch.removed_fraction()) * heads;
        share_among_heads(scores, 0, static_cast<std::size_t>(cells), kept);
    }
};
EVICTLAB_SCORER(DefensiveKv)
