// KVzip+: KVzip's attention times what the token's value writes, over the query's hidden state.
// SPDX-License-Identifier: MIT
#include "second_pass.hpp"

struct KvZipPlus {
    bool layerwise = false;

    static constexpr evictlab::Info info{
        .id = "kvzip_plus",
        .name = "KVzip+",
        .description = "KVzip's attention times what the token's value writes, over the query's hidden state; the "
                       "first 4 tokens above all",
        .reference =
            "NVIDIA kvpress 0.5.5, KVzipPress with kvzip_plus_normalization; Kim et al. 2025, KVzip, arXiv:2505.23416"};
    static constexpr evictlab::Columns columns{"reconstruction_attn:plus"};
    static constexpr evictlab::Parameter<KvZipPlus> parameters[] = {{&KvZipPlus::layerwise, layerwise_info}};
    static constexpr evictlab::Preset presets[] = {
        {"kvpress", "over the whole model (layerwise=False)", {}, evictlab::Standing::published}};

    void score(evictlab::Head<KvZipPlus> head, std::span<double> out) const {
        std::ranges::copy(head["reconstruction_attn"], out.begin());
        keep_first_four(out);
    }

    void model_budgets(evictlab::Model model, std::span<std::uint64_t> kept) const {
        keep_highest(model, layerwise, kept);
    }
};
EVICTLAB_SCORER(KvZipPlus)
