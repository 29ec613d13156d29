// Compactor: the leverage of keys and attention within chunks, blended. SPDX-License-Identifier: MIT
#include <evictlab/scorer.hpp>

#include <algorithm>
#include <stdexcept>
#include <vector>

#include "pooling.hpp"

struct Compactor {
    int sink_start = 8, sink_end = 4, chunk = 256;
    double blending = -1;

    static constexpr evictlab::Info info{
        .id = "compactor",
        .name = "Compactor",
        .description =
            "blending key_leverage + non_causal_attn value_norm, each standardized over the layer; both ends "
            "have the highest",
        .reference = "Chari et al. 2025, Compactor, arXiv:2507.08143; NVIDIA kvpress 0.5.5, CompactorPress",
        .budgeted = true};
    static constexpr evictlab::Columns columns{"key_leverage:first={sink_start}:last={sink_end}",
                                               "non_causal_attn:{chunk}:first={sink_start}:last={sink_end}",
                                               "value_norm"};
    static constexpr evictlab::Parameter<Compactor> parameters[] = {
        {&Compactor::sink_start,
         {.key = "sink_start", .label = "first tokens", .help = "that are not judged", .max = 1024}},
        {&Compactor::sink_end, {.key = "sink_end", .label = "last tokens", .help = "that are not judged", .max = 1024}},
        {&Compactor::chunk, {.key = "chunk", .label = "chunk", .help = "in tokens", .min = 1, .max = 4096}},
        {&Compactor::blending,
         {.key = "blending", .help = "weight of the leverage; below 0: the share to be evicted", .min = -1}}};
    static constexpr evictlab::Preset presets[] = {
        {"kvpress", "kvpress's defaults, without its random sketch of the keys", {}, evictlab::Standing::published}};

    void score(evictlab::Batch<Compactor> batch, std::span<double> scores) const {
        const auto first = static_cast<std::size_t>(sink_start), last = static_cast<std::size_t>(sink_end);
        if (batch.tokens() <= first + last) throw std::invalid_argument("needs more tokens than those at its ends");
        const std::size_t heads = batch.heads(), n = batch.tokens() - first - last;
        std::vector<double> leverage(heads * n), attention(heads * n);
        for (std::size_t h = 0; h < heads; ++h) {
            const auto of_key = batch.head(h)["key_leverage"], received = batch.head(h)["non_causal_attn"];
            const auto norm = batch.head(h)["value_norm"];
            for (std::size_t i = 0; i < n; ++i) {
                leverage[h * n + i] = of_key[first + i];
                attention[h * n + i] = received[first + i] * norm[first + i];
            }
            average_pool(std::span(attention).subspan(h * n, n), 3);
        }
        standardize(leverage);
        standardize(attention);
        const double weight = blending < 0 ? batch.removed_fraction() : blending;
        for (std::size_t i = 0; i < leverage.size(); ++i) attention[i] += weight * leverage[i];
        std::ranges::fill(scores, std::ranges::max(attention));
        for (std::size_t h = 0; h < heads; ++h)
            std::ranges::copy(std::span(attention).subspan(h * n, n), batch.row(scores, h).subspan(first).begin());
    }
};
EVICTLAB_SCORER(Compactor)
