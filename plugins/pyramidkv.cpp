// PyramidKV: as the original benchmark had it, a score whose window narrows from layer to layer; and as it was
// published, SnapKV's score with a budget for each layer, the first ones keeping more.
// SPDX-License-Identifier: MIT
#include <evictlab/scorer.hpp>

#include <algorithm>
#include <cmath>
#include <stdexcept>

struct PyramidKV {
    int sinks = 4;
    double window = 48;
    double damping = 0.5;

    static constexpr evictlab::Info info{
        .id = "pyramidkv",
        .name = "PyramidKV",
        .description = "position < sinks: keep; age < window (2 - layer_ratio): the newer the higher; else "
                       "cumulative_attn (1 - damping layer_ratio)",
        .reference = "Cai et al. 2024, PyramidKV: Dynamic KV Cache Compression based on Pyramidal Information "
                     "Funneling, arXiv:2406.02069",
        .formula = "if(position < 4, keep, if(relative_pos < 48*(2 - layer_ratio), 1e6 - relative_pos, "
                   "cumulative_attn*(1 - 0.5*layer_ratio)))"};
    static constexpr evictlab::Columns columns{"position", "relative_pos", "cumulative_attn"};
    static constexpr evictlab::Parameter<PyramidKV> parameters[] = {
        {&PyramidKV::sinks, {.key = "sinks", .label = "sinks", .help = "first tokens always kept", .max = 1024}},
        {&PyramidKV::window,
         {.key = "window", .label = "window", .help = "half of the first layer's window, in tokens", .max = 1 << 20}},
        {&PyramidKV::damping,
         {.key = "damping", .label = "damping", .help = "share of the attention that the last layer loses", .max = 1}}};
    static constexpr evictlab::Preset presets[] = {{"seed",
                                                    "the original benchmark's rule",
                                                    {{"sinks", 4}, {"window", 48}, {"damping", 0.5}},
                                                    evictlab::Standing::simplified}};

    void score(evictlab::Head<PyramidKV> head, std::span<double> out) const {
        const auto position = head["position"], age = head["relative_pos"], attention = head["cumulative_attn"];
        const double reach = window * (2 - head.layer_ratio()), weight = 1 - damping * head.layer_ratio();
        for (std::size_t i = 0; i < out.size(); ++i) {
            const double received = attention[i] * weight;
            const double scored = age[i] < reach ? 1e6 - age[i] : received;
            out[i] = position[i] < sinks ? evictlab::keep : scored;
        }
    }
};

struct PyramidKvPublished {
    int window = 64, kernel = 5, beta = 20;
    bool max_pooling = false, integers = false;

    static constexpr evictlab::Info info{
        .id = "pyramidkv",
        .name = "PyramidKV (published)",
        .description = "snapkv's published score; a budget that falls from the first layer to the last",
        .reference = "Cai et al. 2024, PyramidKV, arXiv:2406.02069 (KVCache-Factory c97f9d7); NVIDIA kvpress 0.5.5, "
                     "PyramidKVPress"};
    static constexpr evictlab::Columns columns{"window_attn:{window}:pool={kernel}:{max_pooling?max|avg}"};
    static constexpr evictlab::Parameter<PyramidKvPublished> parameters[] = {
        {&PyramidKvPublished::window,
         {.key = "window", .label = "window", .help = "latest queries, in tokens", .min = 1, .max = 4096}},
        {&PyramidKvPublished::kernel,
         {.key = "kernel", .label = "kernel", .help = "of the pooling, odd, in tokens", .min = 1, .max = 255}},
        {&PyramidKvPublished::beta,
         {.key = "beta", .label = "beta", .help = "the last layer's share is 1/beta", .min = 1, .max = 1000}},
        {&PyramidKvPublished::max_pooling,
         {.key = "max_pooling", .label = "max pooling", .help = "the maximum instead of the mean"}},
        {&PyramidKvPublished::integers,
         {.key = "integers", .label = "integers", .help = "budgets as the authors round them", .evolvable = false}}};
    static constexpr evictlab::Preset presets[] = {
        {"kvpress", "kvpress's defaults", {{"window", 64}, {"kernel", 5}, {"beta", 20}}, evictlab::Standing::published},
        {"paper",
         "the authors' LongBench runs",
         {{"window", 8}, {"kernel", 7}, {"beta", 20}, {"max_pooling", 1}, {"integers", 1}},
         evictlab::Standing::published}};

    void prepare() {
        if (kernel % 2 == 0) throw std::invalid_argument("kernel must be odd");
    }

    void score(evictlab::Batch<PyramidKvPublished> batch, std::span<double> scores) const {
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

    std::size_t layer_budget(const evl_budget_query& query) const {
        return integers ? authors_budget(query) : kvpress_budget(query);
    }

    // Includes the window.
    std::size_t kvpress_budget(const evl_budget_query& query) const {
        const double n = query.tokens, uniform = n * (1.0 - query.removed_fraction), capacity = window + uniform;
        double least = (capacity - window) / beta, most = (capacity - window) * 2 - least;
        if (most >= n - window) {
            most = n - window;
            least = (capacity - window) * 2 - most;
        }
        if (!(n >= most && most >= least && least >= window))
            return static_cast<std::size_t>(std::max(1.0, std::nearbyint(uniform)));
        const double step = query.num_layers > 1 ? (most - least) / (query.num_layers - 1) : 0;
        return static_cast<std::size_t>(std::nearbyint(most - query.layer * step));
    }

    // Comes on top of the window; the step is floored, so that the layers together overshoot a little.
    std::size_t authors_budget(const evl_budget_query& query) const {
        const long n = query.tokens, scored = static_cast<long>(query.kept) - window;
        if (scored <= 0 || n < 2 * scored) return query.kept;
        long least = scored / beta, most = 2 * scored - least;
        if (most >= n - window) {
            most = n - window;
            least = 2 * scored - most;
        }
        const long step = query.num_layers > 1 ? (most - least) / (static_cast<long>(query.num_layers) - 1) : 0;
        return static_cast<std::size_t>(most - static_cast<long>(query.layer) * step + window);
    }
};
EVICTLAB_SCORER(PyramidKV, PyramidKvPublished)
