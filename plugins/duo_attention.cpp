// DuoAttention: heads that only stream keep their first and newest tokens, all others keep everything.
// SPDX-License-Identifier: MIT
#include <evictlab/scorer.hpp>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <stdexcept>
#include <vector>

struct DuoAttention {
    int sinks = 128, recent = 256;
    bool matched = false;

    static constexpr evictlab::Info info{
        .id = "duo_attention",
        .name = "DuoAttention",
        .description = "as large a share of the model's KV heads as is to be removed, those of the lowest calibrated "
                       "scores, keeps first and newest tokens alone; all others keep everything",
        .reference = "Xiao et al. 2024, DuoAttention, arXiv:2410.10819; NVIDIA kvpress 0.5.5, DuoAttentionPress "
                     "(on_the_fly_scoring)"};
    static constexpr evictlab::Columns<0> columns{};
    static constexpr evictlab::TableNames tables{"duo_attention"};
    static constexpr evictlab::Parameter<DuoAttention> parameters[] = {
        {&DuoAttention::sinks, {.key = "sinks", .label = "sinks", .help = "first tokens kept", .max = 1 << 20}},
        {&DuoAttention::recent,
         {.key = "recent", .label = "recent tokens", .help = "newest tokens kept", .max = 1 << 20}},
        {&DuoAttention::matched,
         {.key = "matched",
          .help = "as many heads stream as remove that share of the tokens, if all of them together can"}}};
    static constexpr evictlab::Preset presets[] = {
        {"kvpress",
         "kvpress's sinks and recent tokens; the ratio of heads is the removed fraction, so less is removed; scores of "
         "our own calibration, by its rule on the fly",
         {},
         evictlab::Standing::published},
        {"matched", "as many heads as it takes to remove the share of tokens", {{"matched", 1}}}};

    using Batch = evictlab::Batch<DuoAttention>;

    void score(evictlab::Head<DuoAttention>, std::span<double> out) const {
        const std::size_t n = out.size(), newest = std::min(n, static_cast<std::size_t>(recent));
        for (std::size_t i = 0; i < n; ++i) out[i] = i < static_cast<std::size_t>(sinks) || i + newest >= n ? 1 : 0;
    }

    void head_budgets(Batch batch, std::span<const double>, std::span<std::uint64_t> kept) const {
        const std::size_t ends = static_cast<std::size_t>(sinks) + static_cast<std::size_t>(recent);
        std::ranges::fill(kept, batch.tokens());
        if (batch.tokens() <= ends) return;
        const evl_table& table = batch.table(0);
        const std::size_t heads = batch.heads(), cells = table.layers * table.heads;
        const std::uint32_t* const end = table.layer_numbers + table.layers;
        const std::uint32_t* const at = std::find(table.layer_numbers, end, batch.layer());
        if (at == end || table.heads != heads) throw std::invalid_argument("the scores are of other heads");
        const auto first = static_cast<std::size_t>(at - table.layer_numbers) * heads;
        // Of the heads of all layers held: those before the boundary in the order of scores stream.
        std::vector<std::size_t> order(cells);
        std::iota(order.begin(), order.end(), std::size_t{0});
        std::ranges::stable_sort(order, {}, [&](std::size_t cell) { return table.values[cell]; });
        const double each = matched ? 1 - static_cast<double>(ends) / static_cast<double>(batch.tokens()) : 1;
        const double ratio = std::min(1.0, batch.removed_fraction() / each);
        const auto streaming = static_cast<std::size_t>(std::nearbyint(static_cast<double>(cells) * ratio));
        for (std::size_t i = 0; i < std::min(streaming, cells); ++i)
            if (order[i] >= first && order[i] < first + heads) kept[order[i] - first] = ends;
    }
};
EVICTLAB_SCORER(DuoAttention)
