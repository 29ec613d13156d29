// Adaptive R-KV over OpenVINO GenAI's block eviction. SPDX-License-Identifier: MIT
#include "openvino_adaptive.hpp"
#include "openvino_rule.hpp"

struct AdaptiveRkv : OpenVinoRule {
    double attention_mass = 0.9;

    static constexpr evictlab::Info info{
        .id = "adaptive_rkv",
        .name = "Adaptive R-KV",
        .description = "1 for the first and newest tokens, the blocks of the most layer_attn up to attention_mass of "
                       "it, and those whose keys resemble the others' least, the same in all heads of a layer",
        .reference = "OpenVINO GenAI da1db86, AdaptiveRKVConfig",
        .budgeted = true,
        .tensors = true,
        .equal_layers = true};
    static constexpr evictlab::Columns columns{"layer_attn:{snapkv}"};
    static constexpr evictlab::Parameter<AdaptiveRkv> parameters[] = {
        {&AdaptiveRkv::start, start_info},
        {&AdaptiveRkv::recent, recent_info},
        {&AdaptiveRkv::max, max_info},
        {&AdaptiveRkv::block, block_info},
        {&AdaptiveRkv::snapkv, snapkv_info},
        {&AdaptiveRkv::within, within_info},
        {&AdaptiveRkv::attention_mass,
         {.key = "attention_mass", .help = "share of the candidates' attention after which keys decide"}}};
    static constexpr evictlab::Preset presets[] = {
        {"openvino", "OpenVINO GenAI's defaults, at the end of a prompt", {}, evictlab::Standing::published},
        {"sane", "the same, but never more than the retention allows", {{"within", 1}}}};

    void score(evictlab::Batch<AdaptiveRkv> batch, std::span<double> scores) const {
        const auto length = static_cast<std::size_t>(block);
        score_blocks(batch, scores, [&](OpenVinoAreas::Candidates candidates) {
            const auto values = openvino_block_values(at(candidates, batch.head(0)["layer_attn"]), length);
            return openvino_adaptive(values, candidates.stay, attention_mass, [&](std::span<const std::size_t> others) {
                return openvino_diversity(*batch.tensors(), candidates.first * length, candidates.count * length,
                                          length, others);
            });
        });
    }
};
EVICTLAB_SCORER(AdaptiveRkv)
