// OpenVINO GenAI's blocks by their attention as it is, AggregationMode SUM. SPDX-License-Identifier: MIT
#include "openvino_rule.hpp"

struct Sum : OpenVinoRule {
    int pool = 7;

    static constexpr evictlab::Info info{
        .id = "sum",
        .name = "SUM",
        .description = "1 for the first and newest tokens and the blocks of the most layer_attn, the same in all heads "
                       "of a layer",
        .reference = reference,
        .budgeted = true,
        .equal_layers = true};
    static constexpr evictlab::Columns columns{"layer_attn:{snapkv}:ahead={pool}"};
    static constexpr evictlab::Parameter<Sum> parameters[] = {
        {&Sum::start, start_info},   {&Sum::recent, recent_info}, {&Sum::max, max_info},      {&Sum::block, block_info},
        {&Sum::snapkv, snapkv_info}, {&Sum::pool, pool_info},     {&Sum::within, within_info}};
    static constexpr evictlab::Preset presets[] = {
        {"openvino", "OpenVINO GenAI's defaults, at the end of a prompt", {}, evictlab::Standing::published},
        {"sane", "the same, but never more than the retention allows", {{"within", 1}}}};

    void score(evictlab::Batch<Sum> batch, std::span<double> scores) const {
        score_blocks(batch, scores, [&](OpenVinoAreas::Candidates candidates) {
            const auto sums = at(candidates, batch.head(0)["layer_attn"]);
            return openvino_lowest(openvino_block_values(sums, static_cast<std::size_t>(block)), candidates.stay);
        });
    }
};
EVICTLAB_SCORER(Sum)
