// LU-KV: how many tokens each head keeps was learned once for the model; which ones, the scorer inside says.
// SPDX-License-Identifier: MIT
#include <evictlab/scorer.hpp>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <stdexcept>
#include <vector>

struct LuKv {
    int sinks = 4, window = 1;

    static constexpr evictlab::Info info{
        .id = "lukv",
        .name = "LU-KV",
        .description = "the base's scores, sinks and window above all; each head keeps what the calibration's table "
                       "'lukv' leaves it of the removed fraction",
        .reference = "LU-KV; NVIDIA kvpress 0.5.5, LUKVPress",
        .equal_layers = true};
    static constexpr evictlab::Columns columns{"base_score"};
    static constexpr evictlab::TableNames tables{"lukv"};
    static constexpr evictlab::Parameter<LuKv> parameters[] = {
        {&LuKv::sinks, {.key = "sinks", .label = "sinks", .help = "first tokens protected", .max = 1024}},
        {&LuKv::window, {.key = "window", .label = "window", .help = "newest tokens protected", .max = 4096}}};
    static constexpr evictlab::Preset presets[] = {
        {"kvpress",
         "kvpress's rule; the shares of heads are of our own calibration, as the authors publish them for one model",
         {},
         evictlab::Standing::published,
         "expected_attention@kvpress:epsilon=0.02"}};

    using Batch = evictlab::Batch<LuKv>;

    void score(Batch batch, std::span<double> scores) const {
        double highest = -std::numeric_limits<double>::infinity();
        for (std::size_t h = 0; h < batch.heads(); ++h) {
            const auto base = batch.head(h)["base_score"];
            std::ranges::copy(base, batch.row(scores, h).begin());
            highest = std::max(highest, std::ranges::max(base));
        }
        const std::size_t first = std::min(batch.tokens(), static_cast<std::size_t>(sinks));
        const std::size_t last = std::min(batch.tokens(), static_cast<std::size_t>(window));
        for (std::size_t h = 0; h < batch.heads(); ++h) {
            std::ranges::fill(batch.row(scores, h).first(first), 1 + highest);
            std::ranges::fill(batch.row(scores, h).last(last), 1 + highest);
        }
    }

    void head_budgets(Batch batch, std::span<const double>, std::span<std::uint64_t> kept) const {
        const evl_table& table = batch.table(0);
        const float* const removed = shares(table, batch);
        const std::size_t heads = batch.heads();
        std::vector<float> fractions(heads);
        float sum = 0; // in single precision, as the original
        for (std::size_t h = 0; h < heads; ++h) {
            const float ideal = std::clamp(1 - removed[h], 0.0F, 1.0F) * static_cast<float>(batch.tokens());
            kept[h] = static_cast<std::uint64_t>(ideal);
            fractions[h] = ideal - std::floor(ideal);
            sum += ideal;
        }
        const auto total = std::max<std::uint64_t>(heads, static_cast<std::uint64_t>(std::nearbyint(sum)));
        hand_out(total - std::min(total, std::accumulate(kept.begin(), kept.end(), std::uint64_t{0})), fractions, kept);
        for (std::uint64_t& count : kept) count = std::max<std::uint64_t>(count, 1);
    }

private:
    // The layer's row of the table: removed shares of its heads.
    static const float* shares(const evl_table& table, Batch batch) {
        const std::uint32_t* const end = table.layer_numbers + table.layers;
        const std::uint32_t* const at = std::find(table.layer_numbers, end, batch.layer());
        if (at == end || table.heads != batch.heads()) throw std::invalid_argument("the table is of other heads");
        const double asked = std::nearbyint(100 * batch.removed_fraction()) - 1;
        const auto row = static_cast<std::uint64_t>(std::clamp(asked, 0.0, static_cast<double>(table.rows) - 1));
        const auto place = static_cast<std::uint64_t>(at - table.layer_numbers);
        return table.values + (row * table.layers + place) * table.heads;
    }

    // To the largest fractions, of equal ones to the first.
    static void hand_out(std::uint64_t left, const std::vector<float>& fractions, std::span<std::uint64_t> kept) {
        std::vector<std::size_t> order(fractions.size());
        std::iota(order.begin(), order.end(), std::size_t{0});
        std::ranges::stable_sort(order, std::greater{}, [&](std::size_t h) { return fractions[h]; });
        for (std::size_t i = 0; i < order.size() && left > 0; ++i, --left) ++kept[order[i]];
    }
};
EVICTLAB_SCORER(LuKv)
