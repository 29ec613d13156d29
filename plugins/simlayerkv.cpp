// SimLayerKV: layers that only look at the first and the newest tokens keep those; all others keep everything.
// SPDX-License-Identifier: MIT
#include <evictlab/scorer.hpp>

#include <algorithm>
#include <numeric>
#include <stdexcept>

struct SimLayerKv {
    double threshold = 1;
    int last = 1, recent = 1024, initial = 4;

    static constexpr evictlab::Info info{
        .id = "simlayerkv",
        .name = "SimLayerKV",
        .description = "a layer whose last queries give the initial and recent tokens more than the threshold keeps "
                       "these alone, any other all; whatever the budget is",
        .reference = "Zhang et al. 2024, SimLayerKV, arXiv:2410.13846; NVIDIA kvpress 0.5.5, SimLayerKVPress"};
    static constexpr evictlab::Columns columns{"window_attn:{last}"};
    static constexpr evictlab::Parameter<SimLayerKv> parameters[] = {
        {&SimLayerKv::threshold, {.key = "threshold", .help = "share of the attention above which a layer is lazy"}},
        {&SimLayerKv::last, {.key = "last", .label = "last queries", .help = "that tell", .min = 1, .max = 4096}},
        {&SimLayerKv::recent,
         {.key = "recent", .label = "recent tokens", .help = "that a lazy layer keeps", .min = 1, .max = 1 << 20}},
        {&SimLayerKv::initial,
         {.key = "initial", .label = "initial tokens", .help = "that a lazy layer keeps", .max = 1 << 20}}};
    // With kvpress's threshold, as with any, the retention is the model's affair: in `all` a row that keeps everything
    // would lead the table.
    static constexpr evictlab::Preset presets[] = {{"kvpress",
                                                    "kvpress's defaults: a threshold of 1, which evicts nothing; the "
                                                    "authors have 0.65 for Llama 2, 0.9 for Llama 3",
                                                    {},
                                                    evictlab::Standing::published_by_name}};

    using Batch = evictlab::Batch<SimLayerKv>;
    void prepare() {
        if (recent < last) throw std::invalid_argument("recent must be at least last");
    }

    std::size_t first() const { return static_cast<std::size_t>(initial); }
    std::size_t newest() const { return static_cast<std::size_t>(recent - last); }

    void score(evictlab::Head<SimLayerKv>, std::span<double> out) const {
        const std::size_t n = out.size();
        for (std::size_t i = 0; i < n; ++i) out[i] = i < first() || i + newest() >= n ? 1 : 0;
    }

    bool lazy(Batch batch) const {
        const std::size_t n = batch.tokens(), queries = static_cast<std::size_t>(last);
        const auto before = static_cast<std::size_t>(recent);
        if (n <= first() + before + queries) return false;
        double share = 0; // the mean over all query heads is that over the KV heads' means
        for (std::size_t h = 0; h < batch.heads(); ++h) {
            const auto attention = batch.head(h)["window_attn"].first(n - queries);
            const auto start = attention.first(first()), end = attention.last(before);
            share += std::accumulate(start.begin(), start.end(), std::accumulate(end.begin(), end.end(), 0.0));
        }
        return share / static_cast<double>(batch.heads()) > threshold;
    }

    void head_budgets(Batch batch, std::span<const double>, std::span<std::uint64_t> kept) const {
        std::ranges::fill(kept, lazy(batch) ? first() + newest() : batch.tokens());
    }
};
EVICTLAB_SCORER(SimLayerKv)
