// KVCrush over OpenVINO GenAI's block eviction. SPDX-License-Identifier: MIT
#include "openvino_kvcrush.hpp"
#include "openvino_rule.hpp"

struct KvCrush : OpenVinoRule {
    int pool = 7, budget = 2, anchor = static_cast<int>(OpenVinoAnchor::mean);
    bool sum = false;

    static constexpr evictlab::Info info{
        .id = "kvcrush",
        .name = "KVCrush",
        .description = "as norm_sum, but of the blocks that would go `budget` stay, evenly spaced in the order of how "
                       "far they are from an anchor: a bit for each token, 1 for the better half",
        .reference = "OpenVINO GenAI da1db86, KVCrushConfig; Jha et al. 2025, KVCrush, arXiv:2503.00022",
        .budgeted = true,
        .equal_layers = true};
    static constexpr evictlab::Columns columns{"layer_attn:{snapkv}:ahead={pool}"};
    static constexpr evictlab::Parameter<KvCrush> parameters[] = {
        {&KvCrush::start, start_info},
        {&KvCrush::recent, recent_info},
        {&KvCrush::max, max_info},
        {&KvCrush::block, block_info},
        {&KvCrush::snapkv, snapkv_info},
        {&KvCrush::pool, pool_info},
        {&KvCrush::within, within_info},
        {&KvCrush::budget, {.key = "budget", .help = "blocks that are given back, beyond the maximum", .max = 4096}},
        {&KvCrush::anchor, {.key = "anchor", .help = "0 zeros, 1 ones, 2 alternating, 3 the blocks' mean", .max = 3}},
        {&KvCrush::sum, {.key = "sum", .help = "blocks by SUM, not by NORM_SUM"}}};
    static constexpr evictlab::Preset presets[] = {
        {"openvino", "the example of its manual: 2 blocks, by their mean", {}, evictlab::Standing::published},
        {"sane", "the same, but never more than the retention allows", {{"within", 1}}}};

    std::size_t beyond(std::size_t tokens, std::size_t kept) const {
        const auto blocks = static_cast<std::size_t>(budget);
        return within && max == 0 ? std::min(blocks, blocks_allowed(tokens, kept) - 1) : blocks;
    }

    void score(evictlab::Batch<KvCrush> batch, std::span<double> scores) const {
        const std::size_t length = static_cast<std::size_t>(block), given = beyond(batch.tokens(), asked_of(batch));
        const auto leaving = [&](OpenVinoAreas::Candidates candidates) {
            const auto sums = at(candidates, batch.head(0)["layer_attn"]);
            const auto values = sum ? std::vector<double>(sums.begin(), sums.end())
                                    : per_query(candidates, batch.head(0)["layer_attn"]);
            auto lowest = openvino_lowest(openvino_block_values(values, length), candidates.stay);
            return openvino_without_given_back(sums, std::move(lowest), length, given,
                                               static_cast<OpenVinoAnchor>(anchor));
        };
        score_blocks(batch, scores, leaving, given);
    }

    std::size_t layer_budget(const evl_budget_query& query) const {
        return left_of(query.tokens, query.kept, beyond(query.tokens, query.kept));
    }
};
EVICTLAB_SCORER(KvCrush)
