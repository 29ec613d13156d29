// H2O: heavy hitters by the attention received so far, and a window of the newest tokens.
// SPDX-License-Identifier: MIT
#include <evictlab/scorer.hpp>

struct H2O {
    int window = 32;

    static constexpr evictlab::Info info{
        .id = "h2o",
        .name = "H2O",
        .description = "age < window: keep; else the attention received so far",
        .reference = "Zhang et al. 2023, H2O: Heavy-Hitter Oracle for Efficient Generative Inference, arXiv:2306.14048",
        .formula = "if(relative_pos < 32, keep, cumulative_attn)"};
    static constexpr evictlab::Columns columns{"relative_pos", "cumulative_attn"};
    static constexpr evictlab::Parameter<H2O> parameters[] = {
        {&H2O::window,
         {.key = "window", .label = "window", .help = "newest tokens always kept, in tokens", .max = 1 << 20}}};
    static constexpr evictlab::Preset presets[] = {
        {"seed", "the original benchmark's rule", {{"window", 32}}, evictlab::Standing::simplified},
        {"paper",
         "one-shot, as KVCache-Factory's LongBench runs have it: the newest 8",
         {{"window", 8}},
         evictlab::Standing::published}};

    void score(evictlab::Head<H2O> head, std::span<double> out) const {
        const auto age = head["relative_pos"], attention = head["cumulative_attn"];
        for (std::size_t i = 0; i < out.size(); ++i) {
            const double received = attention[i];
            out[i] = age[i] < window ? evictlab::keep : received;
        }
    }
};
EVICTLAB_SCORER(H2O)
