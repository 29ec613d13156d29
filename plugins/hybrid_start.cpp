// Hybrid start: the formula from which the original evolution began.
// SPDX-License-Identifier: MIT
#include <evictlab/scorer.hpp>

#include <algorithm>
#include <cmath>

struct HybridStart {
    int sinks = 4, newest = 4;
    double recent_weight = 0.6, cumulative_weight = 0.4, power = 0.3, recency = 0.2;
    int window = 128;

    static constexpr evictlab::Info info{
        .id = "hybrid_start",
        .name = "Hybrid start",
        .description = "sinks and newest first; else recent_weight recent_attn + cumulative_weight cumulative_attn "
                       "((position + 1) / sequence_len)^power + recency max(0, 1 - age / window)",
        .reference = "the original benchmark",
        .formula = "if(position < 4, keep, if(relative_pos < 4, 1e6 - relative_pos, 0.6*recent_attn + "
                   "0.4*cumulative_attn*((position + 1)/sequence_len)^0.3 + 0.2*max(0, 1 - relative_pos/128)))"};
    static constexpr evictlab::Columns columns{"position", "relative_pos", "cumulative_attn", "recent_attn"};
    static constexpr evictlab::Parameter<HybridStart> parameters[] = {
        {&HybridStart::sinks, {.key = "sinks", .label = "sinks", .help = "first tokens always kept", .max = 1024}},
        {&HybridStart::newest, {.key = "newest", .label = "newest", .help = "newest tokens put first", .max = 1 << 20}},
        {&HybridStart::recent_weight, {.key = "recent_weight", .help = "weight of recent_attn", .max = 10}},
        {&HybridStart::cumulative_weight, {.key = "cumulative_weight", .help = "weight of cumulative_attn", .max = 10}},
        {&HybridStart::power, {.key = "power", .help = "of the relative position", .max = 4}},
        {&HybridStart::recency, {.key = "recency", .help = "weight of being new", .max = 10}},
        {&HybridStart::window,
         {.key = "window", .help = "age where recency ends, in tokens", .min = 1, .max = 1 << 20}}};

    void score(evictlab::Head<HybridStart> head, std::span<double> out) const {
        const auto position = head["position"], age = head["relative_pos"];
        const auto cumulative = head["cumulative_attn"], recent = head["recent_attn"];
        const double length = static_cast<double>(head.sequence_len());
        for (std::size_t i = 0; i < out.size(); ++i) {
            const double correction = std::pow((position[i] + 1) / length, power);
            double scored = recent_weight * recent[i] + cumulative_weight * cumulative[i] * correction +
                            recency * std::max(0.0, 1 - age[i] / window);
            if (age[i] < newest) scored = 1e6 - age[i];
            out[i] = position[i] < sinks ? evictlab::keep : scored;
        }
    }
};
EVICTLAB_SCORER(HybridStart)
