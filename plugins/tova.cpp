// TOVA as the original benchmark has it: attention that counts up to twice when the token is new, and a bonus for
// sinks. SPDX-License-Identifier: MIT
#include <evictlab/scorer.hpp>

#include <cmath>

struct Tova {
    int sinks = 4;
    double bonus = 10;
    double decay = 0.01;

    static constexpr evictlab::Info info{
        .id = "tova",
        .name = "TOVA",
        .description = "(bonus if position < sinks) + cumulative_attn (1 + exp(-decay age))",
        .reference = "Oren et al. 2024, Transformers are Multi-State RNNs, arXiv:2401.06104"};
    static constexpr evictlab::Columns columns{"position", "relative_pos", "cumulative_attn"};
    static constexpr evictlab::Parameter<Tova> parameters[] = {
        {&Tova::sinks, {.key = "sinks", .label = "sinks", .help = "first tokens that get the bonus", .max = 1024}},
        {&Tova::bonus, {.key = "bonus", .label = "sink bonus", .help = "added to a sink's score", .max = 1e6}},
        {&Tova::decay,
         {.key = "decay", .label = "decay", .help = "of the weight of new tokens, per token", .max = 10}}};
    static constexpr evictlab::Preset presets[] = {
        {"seed", "the original benchmark's rule", {{"sinks", 4}, {"bonus", 10}, {"decay", 0.01}}}};

    void score(evictlab::Head<Tova> head, std::span<double> out) const {
        const auto position = head["position"], age = head["relative_pos"], attention = head["cumulative_attn"];
        for (std::size_t i = 0; i < out.size(); ++i)
            out[i] = (position[i] < sinks ? bonus : 0) + attention[i] * (1 + std::exp(-decay * age[i]));
    }
};
EVICTLAB_SCORER(Tova)
