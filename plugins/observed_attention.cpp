// ObservedAttention: the mean attention over the queries that could see the token. H2O's statistic, made fair to late
// tokens, and without its window.
// SPDX-License-Identifier: MIT
#include <evictlab/scorer.hpp>

struct ObservedAttention {
    static constexpr evictlab::Info info{.id = "observed_attention",
                                         .name = "ObservedAttention",
                                         .description = "cumulative_attn / (relative_pos + 1)",
                                         .reference =
                                             "NVIDIA kvpress 0.5.5, ObservedAttentionPress, after Zhang et al. "
                                             "2023, H2O, arXiv:2306.14048"};
    static constexpr evictlab::Columns columns{"relative_pos", "cumulative_attn"};
    static constexpr evictlab::Preset presets[] = {
        {"kvpress", "it has no parameters", {}, evictlab::Standing::published}};

    void score(evictlab::Head<ObservedAttention> head, std::span<double> out) const {
        const auto age = head["relative_pos"], attention = head["cumulative_attn"];
        for (std::size_t i = 0; i < out.size(); ++i) out[i] = attention[i] / (age[i] + 1);
    }
};
EVICTLAB_SCORER(ObservedAttention)
