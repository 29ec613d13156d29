// KVgrad: KVzip's attention times what the token's value writes and what the model makes of it, by the gradient.
// SPDX-License-Identifier: MIT
#include "second_pass.hpp"

struct KvGrad {
    bool layerwise = false;

    static constexpr evictlab::Info info{
        .id = "kvgrad",
        .name = "KVgrad",
        .description = "KVzip's attention times what the token's value writes and what the model makes of it, by the "
                       "gradient; the first 4 tokens above all",
        .reference = "KVgrad, openreview.net/forum?id=cg1wTCJjjk; NVIDIA kvpress 0.5.5, KVgradPress"};
    static constexpr evictlab::Columns columns{"reconstruction_attn:grad"};
    static constexpr evictlab::Parameter<KvGrad> parameters[] = {{&KvGrad::layerwise, layerwise_info}};
    static constexpr evictlab::Preset presets[] = {
        {"kvpress", "over the whole model (layerwise=False)", {}, evictlab::Standing::published}};

    void score(evictlab::Head<KvGrad> head, std::span<double> out) const {
        std::ranges::copy(head["reconstruction_attn"], out.begin());
        keep_first_four(out);
    }

    void model_budgets(evictlab::Model model, std::span<std::uint64_t> kept) const {
        keep_highest(model, layerwise, kept);
    }
};
EVICTLAB_SCORER(KvGrad)
