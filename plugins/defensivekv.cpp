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
        {&DefensiveKv::window, window_info}, {&DefensiveKv::kernel, kernel_info}, {&DefensiveKv::clamp, clamp_info}};

    void score(evictlab::Batch<DefensiveKv> batch, std::span<double> scores) const { score_layer(batch, scores); }

    void head_budgets(evictlab::Batch<DefensiveKv> batch, std::span<const double> scores,
                      std::span<std::uint64_t> kept) const {
        const auto heads = static_cast<double>(batch.heads());
        const double cells = static_cast<double>(batch.tokens()) * (1 - batch.removed_fraction()) * heads;
        share_among_heads(scores, 0, static_cast<std::size_t>(cells), kept);
    }
};
EVICTLAB_SCORER(DefensiveKv)
