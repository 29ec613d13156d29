// OpenVINO GenAI's default: blocks by their attention for each query that could see it, AggregationMode NORM_SUM.
// SPDX-License-Identifier: MIT
#include "openvino_rule.hpp"

struct NormSum : OpenVinoRule {
    int pool = 7;

    static constexpr evictlab::Info info{
        .id = "norm_sum",
        .name = "NORM_SUM",
        .description = "1 for the first and newest tokens and the blocks of the most layer_attn for each query that "
                       "counts, the same in all heads of a layer",
        .reference = reference,
        .budgeted = true,
        .equal_layers = true};
    static constexpr evictlab::Columns columns{"layer_attn:{snapkv}:ahead={pool}"};
    static constexpr evictlab::Parameter<NormSum> parameters[] = {
        {&NormSum::start, start_info},  {&NormSum::recent, recent_info}, {&NormSum::max, max_info},
        {&NormSum::block, block_info},  {&NormSum::snapkv, snapkv_info}, {&NormSum::pool, pool_info},
        {&NormSum::within, within_info}};
    static constexpr evictlab::Preset presets[] = {
        {"openvino", "OpenVINO GenAI's defaults, at the end of a prompt", {}, evictlab::Standing::published},
        {"sane", "the same, but never more than the retention allows", {{"within", 1}}}};

    void score(evictlab::Batch<NormSum> batch, std::span<double> scores) const {
        score_blocks(batch, scores, [&](OpenVinoAreas::Candidates candidates) {
            const auto values = per_query(candidates, batch.head(0)["layer_attn"]);
            return openvino_lowest(openvino_block_values(values, static_cast<std::size_t>(block)), candidates.stay);
        });
    }
};
EVICTLAB_SCORER(NormSum)
