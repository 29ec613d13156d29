// NonCausalAttn: the attention within chunks of the prompt as if later queries could be seen by earlier ones.
// SPDX-License-Identifier: MIT
#include <evictlab/scorer.hpp>

#include "pooling.hpp"

struct NonCausalAttn {
    int chunk = 256;

    static constexpr evictlab::Info info{
        .id = "non_causal_attn",
        .name = "NonCausalAttn",
        .description = "non_causal_attn value_norm, pooled over 3 tokens and standardized over the layer",
        .reference = "Chari et al. 2025, Compactor, arXiv:2507.08143; NVIDIA kvpress 0.5.5, NonCausalAttnPress"};
    static constexpr evictlab::Columns columns{"non_causal_attn:{chunk}", "value_norm"};
    static constexpr evictlab::Parameter<NonCausalAttn> parameters[] = {
        {&NonCausalAttn::chunk, {.key = "chunk", .label = "chunk", .help = "in tokens", .min = 1, .max = 4096}}};
    static constexpr evictlab::Preset presets[] = {{"kvpress", "chunks of 256", {}, evictlab::Standing::published}};

    void score(evictlab::Batch<NonCausalAttn> batch, std::span<double> scores) const {
        for (std::size_t h = 0; h < batch.heads(); ++h) {
            const auto attention = batch.head(h)["non_causal_attn"], norm = batch.head(h)["value_norm"];
            const auto out = batch.row(scores, h);
            for (std::size_t i = 0; i < out.size(); ++i) out[i] = attention[i] * norm[i];
            average_pool(out, 3);
        }
        standardize(scores);
    }
};
EVICTLAB_SCORER(NonCausalAttn)
