// Hybrid: what the original benchmark's table calls "Hybrid baseline". Its evolution began from hybrid_start instead.
// SPDX-License-Identifier: MIT
#include <evictlab/scorer.hpp>

#include <algorithm>

struct Hybrid {
    int sinks = 4;
    double attention = 0.4, share = 0.7, recency = 0.3, penalty = 0.1;
    int window = 64;

    static constexpr evictlab::Info info{
        .id = "hybrid",
        .name = "Hybrid baseline",
        .description = "position < sinks: keep; else attention ((1 - share) cumulative_attn + share recent_attn) + "
                       "recency max(0, 1 - age / window) - penalty key_norm",
        .reference = "the original benchmark",
        .formula =
            "if(position < 4, keep, 0.4*(0.3*cumulative_attn + 0.7*recent_attn) + 0.3*max(0, 1 - relative_pos/64) - "
            "0.1*key_norm)"};
    static constexpr evictlab::Columns columns{"position", "relative_pos", "cumulative_attn", "recent_attn",
                                               "key_norm"};
    static constexpr evictlab::Parameter<Hybrid> parameters[] = {
        {&Hybrid::sinks, {.key = "sinks", .label = "sinks", .help = "first tokens always kept", .max = 1024}},
        {&Hybrid::attention, {.key = "attention", .label = "attention", .help = "weight of the attention", .max = 10}},
        {&Hybrid::share, {.key = "share", .label = "recent share", .help = "of recent_attn in the attention"}},
        {&Hybrid::recency, {.key = "recency", .label = "recency", .help = "weight of being new", .max = 10}},
        {&Hybrid::penalty, {.key = "penalty", .label = "key norm", .help = "weight of the key norm", .max = 10}},
        {&Hybrid::window,
         {.key = "window", .label = "window", .help = "age where recency ends, in tokens", .min = 1, .max = 1 << 20}}};

    void score(evictlab::Head<Hybrid> head, std::span<double> out) const {
        const auto position = head["position"], age = head["relative_pos"], norm = head["key_norm"];
        const auto cumulative = head["cumulative_attn"], recent = head["recent_attn"];
        for (std::size_t i = 0; i < out.size(); ++i) {
            const double received = (1 - share) * cumulative[i] + share * recent[i];
            const double scored =
                attention * received + recency * std::max(0.0, 1 - age[i] / window) - penalty * norm[i];
            out[i] = position[i] < sinks ? evictlab::keep : scored;
        }
    }
};
EVICTLAB_SCORER(Hybrid)
