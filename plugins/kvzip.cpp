// KVzip: largest attention that a token gets while the model repeats the prompt. SPDX-License-Identifier: MIT
#include "second_pass.hpp"

struct KvZip {
    bool layerwise = false;

    static constexpr evictlab::Info info{
        .id = "kvzip",
        .name = "KVzip",
        .description =
            "largest attention that a token gets while the model repeats the prompt; the first 4 tokens above all",
        .reference = "Kim et al. 2025, KVzip, arXiv:2505.23416; NVIDIA kvpress 0.5.5, KVzipPress"};
    static constexpr evictlab::Columns columns{"reconstruction_attn"};
    static constexpr evictlab::Parameter<KvZip> parameters[] = {{&KvZip::layerwise, layerwise_info}};
    static constexpr evictlab::Preset presets[] = {
        {"kvpress", "over the whole model (layerwise=False)", {}, evictlab::Standing::published}};

    void score(evictlab::Head<KvZip> head, std::span<double> out) const {
        std::ranges::copy(head["reconstruction_attn"], out.begin());
        keep_first_four(out);
    }

    void model_budgets(evictlab::Model model, std::span<std::uint64_t> kept) const {
        keep_highest(model, layerwise, kept);
    }
};
EVICTLAB_SCORER(KvZip)
