// TOVA as the original benchmark has it: attention that counts up to twice when the token is new, and a bonus for
// sinks; and as it was published: the attention of the last query, mean over all heads of the layer.
// SPDX-License-Identifier: MIT
#include <evictlab/scorer.hpp>

#include <algorithm>
#include <cmath>
#include <stdexcept>

struct Tova {
    int sinks = 4;
    double bonus = 10;
    double decay = 0.01;

    static constexpr evictlab::Info info{
        .id = "tova",
        .name = "TOVA",
        .description = "(bonus if position < sinks) + cumulative_attn (1 + exp(-decay age))",
        .reference = "Oren et al. 2024, Transformers are Multi-State RNNs, arXiv:2401.06104",
        .formula = "if(position < 4, 10, 0) + cumulative_attn*(1 + exp(-0.01*relative_pos))"};
    static constexpr evictlab::Columns columns{"position", "relative_pos", "cumulative_attn"};
    static constexpr evictlab::Parameter<Tova> parameters[] = {
        {&Tova::sinks, {.key = "sinks", .label = "sinks", .help = "first tokens that get the bonus", .max = 1024}},
        {&Tova::bonus, {.key = "bonus", .label = "sink bonus", .help = "added to a sink's score", .max = 1e6}},
        {&Tova::decay,
         {.key = "decay", .label = "decay", .help = "of the weight of new tokens, per token", .max = 10}}};
    static constexpr evictlab::Preset presets[] = {{"seed",
                                                    "the original benchmark's rule",
                                                    {{"sinks", 4}, {"bonus", 10}, {"decay", 0.01}},
                                                    evictlab::Standing::simplified}};

    void score(evictlab::Head<Tova> head, std::span<double> out) const {
        const auto position = head["position"], age = head["relative_pos"], attention = head["cumulative_attn"];
        for (std::size_t i = 0; i < out.size(); ++i)
            out[i] = (position[i] < sinks ? bonus : 0) + attention[i] * (1 + std::exp(-decay * age[i]));
    }
};

struct TovaPublished {
    bool protect_newest = true;

    static constexpr evictlab::Info info{
        .id = "tova",
        .name = "TOVA (published)",
        .description = "the last query's attention, mean over all query heads of the layer: one set a layer",
        .reference = "Oren et al. 2024, Transformers are Multi-State RNNs, arXiv:2401.06104; NVIDIA kvpress 0.5.5, "
                     "TOVAPress"};
    static constexpr evictlab::Columns columns{"last_attn:all"};
    static constexpr evictlab::Parameter<TovaPublished> parameters[] = {
        {&TovaPublished::protect_newest,
         {.key = "protect_newest",
          .label = "protect the newest",
          .help = "the last token gets 1 + the highest score"}}};
    static constexpr evictlab::Preset presets[] = {
        {"kvpress", "the last token is protected", {{"protect_newest", 1}}, evictlab::Standing::published},
        {"paper", "the last token is judged as all others", {{"protect_newest", 0}}, evictlab::Standing::published}};

    void score(evictlab::Head<TovaPublished> head, std::span<double> out) const {
        const auto attention = head["last_attn"];
        std::ranges::copy(attention, out.begin());
        if (!protect_newest) return;
        if (out.size() < 2) throw std::invalid_argument("needs two tokens or more");
        out.back() = 1 + std::ranges::max(attention.first(attention.size() - 1));
    }
};
EVICTLAB_SCORER(Tova, TovaPublished)
