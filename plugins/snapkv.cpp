// SnapKV: the attention of the latest queries, and a window of the newest tokens.
// SPDX-License-Identifier: MIT
#include <evictlab/scorer.hpp>

struct SnapKV {
    int window = 32;

    static constexpr evictlab::Info info{
        .id = "snapkv",
        .name = "SnapKV",
        .description = "age < window: keep; else the attention of the latest 33 queries",
        .reference = "Li et al. 2024, SnapKV: LLM Knows What You are Looking for Before Generation, arXiv:2404.14469"};
    static constexpr evictlab::Columns columns{"relative_pos", "recent_attn"};
    static constexpr evictlab::Parameter<SnapKV> parameters[] = {
        {&SnapKV::window,
         {.key = "window", .label = "window", .help = "newest tokens always kept, in tokens", .max = 1 << 20}}};
    static constexpr evictlab::Preset presets[] = {
        {"seed", "the original benchmark's rule (its name there: SnapKV lite)", {{"window", 32}}}};

    void score(evictlab::Head<SnapKV> head, std::span<double> out) const {
        const auto age = head["relative_pos"], attention = head["recent_attn"];
        for (std::size_t i = 0; i < out.size(); ++i) {
            const double received = attention[i];
            out[i] = age[i] < window ? evictlab::keep : received;
        }
    }
};
EVICTLAB_SCORER(SnapKV)
