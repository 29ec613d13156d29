// R-KV: attention of the latest queries, less how much a key repeats others: for long chains of reasoning.
// SPDX-License-Identifier: MIT
#include <evictlab/scorer.hpp>

#include <algorithm>
#include <stdexcept>

struct RKv {
    int window = 8, kernel = 7;
    double lambda = 0.07;
    bool first = false;

    static constexpr evictlab::Info info{
        .id = "rkv",
        .name = "R-KV",
        .description = "lambda group_max_attn - (1 - lambda) key_redundancy; the window above all",
        .reference = "R-KV d15c976; Cai et al. 2025, R-KV, arXiv:2505.24133"};
    static constexpr evictlab::Columns columns{"group_max_attn:{window}:pool={kernel}",
                                               "key_redundancy{first?:first|}"};
    static constexpr evictlab::Parameter<RKv> parameters[] = {
        {&RKv::window, {.key = "window", .label = "window", .help = "latest queries", .min = 1, .max = 4096}},
        {&RKv::kernel,
         {.key = "kernel", .label = "kernel", .help = "of the pooling, odd, in tokens", .min = 1, .max = 255}},
        {&RKv::lambda, {.key = "lambda", .help = "weight of the attention, that of the redundancy being the rest"}},
        {&RKv::first,
         {.key = "first", .help = "retain_direction=first, which in the authors' program is always token 0"}}};
    static constexpr evictlab::Preset presets[] = {
        {"paper", "the authors' runs; once, at the end of the prompt", {}, evictlab::Standing::published}};

    void score(evictlab::Batch<RKv> batch, std::span<double> scores) const {
        const std::size_t n = batch.tokens(), protected_tokens = static_cast<std::size_t>(window);
        if (n <= protected_tokens) throw std::invalid_argument("needs more tokens than its window");
        for (std::size_t h = 0; h < batch.heads(); ++h) {
            const auto attention = batch.head(h)["group_max_attn"];
            const auto redundancy = batch.head(h)["key_redundancy{first?:first|}"];
            const auto out = batch.row(scores, h);
            for (std::size_t i = 0; i < n; ++i) out[i] = lambda * attention[i] - (1 - lambda) * redundancy[i];
            std::ranges::fill(out.last(protected_tokens), 1.0); // above all others, which are below it
        }
    }
};
EVICTLAB_SCORER(RKv)
