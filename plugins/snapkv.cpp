// SnapKV: the attention of the latest queries, and a window of the newest tokens.
// SPDX-License-Identifier: MIT
#include <evictlab/scorer.hpp>

#include <algorithm>
#include <stdexcept>

struct SnapKV {
    int window = 32;

    static constexpr evictlab::Info info{
        .id = "snapkv",
        .name = "SnapKV",
        .description = "age < window: keep; else the attention of the latest 33 queries",
        .reference = "Li et al. 2024, SnapKV: LLM Knows What You are Looking for Before Generation, arXiv:2404.14469",
        .formula = "if(relative_pos < 32, keep, recent_attn)"};
    static constexpr evictlab::Columns columns{"relative_pos", "recent_attn"};
    static constexpr evictlab::Parameter<SnapKV> parameters[] = {
        {&SnapKV::window,
         {.key = "window", .label = "window", .help = "newest tokens always kept, in tokens", .max = 1 << 20}}};
    static constexpr evictlab::Preset presets[] = {{"seed",
                                                    "the original benchmark's rule (its name there: SnapKV lite)",
                                                    {{"window", 32}},
                                                    evictlab::Standing::simplified}};

    void score(evictlab::Head<SnapKV> head, std::span<double> out) const {
        const auto age = head["relative_pos"], attention = head["recent_attn"];
        for (std::size_t i = 0; i < out.size(); ++i) {
            const double received = attention[i];
            out[i] = age[i] < window ? evictlab::keep : received;
        }
    }
};

// As published: the mean attention of the last `window` queries, pooled over neighbours before the window.
struct SnapKvPublished {
    int window = 64, kernel = 5;
    bool max_pooling = false;

    static constexpr evictlab::Info info{
        .id = "snapkv",
        .name = "SnapKV (published)",
        .description = "the mean attention of the last window of queries, pooled; the window itself above all",
        .reference = "Li et al. 2024, SnapKV, arXiv:2404.14469; NVIDIA kvpress 0.5.5, SnapKVPress"};
    static constexpr evictlab::Columns columns{"window_attn:{window}:pool={kernel}:{max_pooling?max|avg}"};
    static constexpr evictlab::Parameter<SnapKvPublished> parameters[] = {
        {&SnapKvPublished::window,
         {.key = "window", .label = "window", .help = "latest queries, in tokens", .min = 1, .max = 4096}},
        {&SnapKvPublished::kernel,
         {.key = "kernel", .label = "kernel", .help = "of the pooling, odd, in tokens", .min = 1, .max = 255}},
        {&SnapKvPublished::max_pooling,
         {.key = "max_pooling", .label = "max pooling", .help = "the maximum instead of the mean"}}};
    static constexpr evictlab::Preset presets[] = {{"kvpress",
                                                    "kvpress's defaults",
                                                    {{"window", 64}, {"kernel", 5}, {"max_pooling", 0}},
                                                    evictlab::Standing::published},
                                                   {"paper",
                                                    "the authors' LongBench runs",
                                                    {{"window", 32}, {"kernel", 7}, {"max_pooling", 1}},
                                                    evictlab::Standing::published}};

    void prepare() {
        if (kernel % 2 == 0) throw std::invalid_argument("kernel must be odd");
    }

    void score(evictlab::Batch<SnapKvPublished> batch, std::span<double> scores) const {
        const std::size_t n = batch.tokens(), protected_tokens = static_cast<std::size_t>(window);
        if (n <= protected_tokens) throw std::invalid_argument("needs more tokens than its window");
        double highest = 0;
        for (std::size_t h = 0; h < batch.heads(); ++h) {
            const auto pooled = batch.head(h)["window_attn"].first(n - protected_tokens);
            std::ranges::copy(pooled, batch.row(scores, h).begin());
            highest = std::max(highest, std::ranges::max(pooled));
        }
        for (std::size_t h = 0; h < batch.heads(); ++h)
            std::ranges::fill(batch.row(scores, h).last(protected_tokens), 1 + highest);
    }
};
EVICTLAB_SCORER(SnapKV, SnapKvPublished)
