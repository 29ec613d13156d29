// ExpectedAttention: the attention that queries of the coming positions would give, were they distributed as those of
// the prompt; times the norm of the value. SPDX-License-Identifier: MIT
#include <evictlab/scorer.hpp>

#include <algorithm>
#include <stdexcept>

struct ExpectedAttention {
    int future = 512, sinks = 4;
    bool use_covariance = true, use_vnorm = true, by_dim = false;
    double epsilon = 0;

    static constexpr evictlab::Info info{
        .id = "expected_attention",
        .name = "ExpectedAttention",
        .description = "(expected_attn + epsilon) value_norm; the sinks above all",
        .reference = "Devoto et al. 2025, Expected Attention, arXiv:2510.00636; NVIDIA kvpress 0.5.5, "
                     "ExpectedAttentionPress"};
    static constexpr evictlab::Columns columns{
        "expected_attn:future={future}:sinks={sinks}{use_covariance?|:mean}{by_dim?:by_dim|}", "value_norm"};
    static constexpr evictlab::Parameter<ExpectedAttention> parameters[] = {
        {&ExpectedAttention::future,
         {.key = "future", .label = "future positions", .help = "over which is averaged", .min = 1, .max = 1 << 20}},
        {&ExpectedAttention::sinks, {.key = "sinks", .label = "sinks", .help = "first tokens protected", .max = 1024}},
        {&ExpectedAttention::use_covariance,
         {.key = "use_covariance", .label = "covariance", .help = "the second moment of the queries"}},
        {&ExpectedAttention::use_vnorm, {.key = "use_vnorm", .label = "value norm", .help = "multiplies the score"}},
        {&ExpectedAttention::epsilon,
         {.key = "epsilon", .label = "epsilon", .help = "added before the value norm, as attention"}},
        {&ExpectedAttention::by_dim,
         {.key = "by_dim",
          .label = "1/sqrt(d)",
          .help = "for the layer's softmax scale, as kvpress has it",
          .evolvable = false}}};
    static constexpr evictlab::Preset presets[] = {
        {"kvpress",
         "kvpress's defaults, and its 1/sqrt(d) for the softmax scale of every model",
         {{"by_dim", 1}},
         evictlab::Standing::published},
        // Equal to kvpress's but in models with a scale of their own: elsewhere `all` would have it twice.
        {"paper", "the same with the layer's own softmax scale", {}, evictlab::Standing::published_by_name}};

    void score(evictlab::Batch<ExpectedAttention> batch, std::span<double> scores) const {
        const auto protected_tokens = static_cast<std::size_t>(sinks);
        if (batch.tokens() <= protected_tokens) throw std::invalid_argument("needs more tokens than sinks");
        double highest = 0;
        for (std::size_t h = 0; h < batch.heads(); ++h) {
            const auto expected = batch.head(h)["expected_attn"], norm = batch.head(h)["value_norm"];
            const auto out = batch.row(scores, h);
            for (std::size_t i = protected_tokens; i < out.size(); ++i)
                out[i] = use_vnorm ? (expected[i] + epsilon) * norm[i] : expected[i];
            highest = std::max(highest, std::ranges::max(out.subspan(protected_tokens)));
        }
        for (std::size_t h = 0; h < batch.heads(); ++h)
            std::ranges::fill(batch.row(scores, h).first(protected_tokens), 1 + highest);
    }
};
EVICTLAB_SCORER(ExpectedAttention)
