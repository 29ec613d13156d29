// StreamingLLM: the first tokens (attention sinks) and the newest ones.
// SPDX-License-Identifier: MIT
#include <evictlab/scorer.hpp>

#include <stdexcept>

struct StreamingLlm {
    int sinks = 4;
    int window = 64;

    static constexpr evictlab::Info info{
        .id = "streaming_llm",
        .name = "StreamingLLM",
        .description = "position < sinks: keep; age < window: the newer the higher; else evict first",
        .reference = "Xiao et al. 2023, Efficient Streaming Language Models with Attention Sinks, arXiv:2309.17453",
        .formula = "if(position < 4, keep, if(relative_pos < 64, 1e6 - relative_pos, drop))"};
    static constexpr evictlab::Columns columns{"position", "relative_pos"};
    static constexpr evictlab::Parameter<StreamingLlm> parameters[] = {
        {&StreamingLlm::sinks, {.key = "sinks", .label = "sinks", .help = "first tokens always kept", .max = 1024}},
        {&StreamingLlm::window,
         {.key = "window", .label = "window", .help = "newest tokens preferred, in tokens", .max = 1 << 20}}};
    static constexpr evictlab::Preset presets[] = {
        {"seed", "the original benchmark's rule", {{"sinks", 4}, {"window", 64}}, evictlab::Standing::simplified}};

    void score(evictlab::Head<StreamingLlm> head, std::span<double> out) const {
        const auto position = head["position"], age = head["relative_pos"];
        for (std::size_t i = 0; i < out.size(); ++i) {
            const double recency = age[i] < window ? 1e6 - age[i] : evictlab::drop;
            out[i] = position[i] < sinks ? evictlab::keep : recency;
        }
    }
};

// A score of 0 or 1, as kvpress gives it: which tokens are removed follows from the budget alone.
struct StreamingLlmOfKvpress {
    int sinks = 4;

    static constexpr evictlab::Info info{
        .id = "streaming_llm",
        .name = "StreamingLLM (kvpress)",
        .description = "0 for the tokens to be removed, which follow the sinks; else 1",
        .reference = "NVIDIA kvpress 0.5.5, StreamingLLMPress; Xiao et al. 2023, arXiv:2309.17453",
        .budgeted = true};
    static constexpr evictlab::Columns columns{};
    static constexpr evictlab::Parameter<StreamingLlmOfKvpress> parameters[] = {
        {&StreamingLlmOfKvpress::sinks, {.key = "sinks", .label = "sinks", .help = "first tokens kept", .max = 1024}}};
    static constexpr evictlab::Preset presets[] = {{"kvpress", "4 sinks", {}, evictlab::Standing::published}};

    void score(evictlab::Head<StreamingLlmOfKvpress> head, std::span<double> out) const {
        const std::size_t n = out.size(), first = static_cast<std::size_t>(sinks);
        if (n <= first) throw std::invalid_argument("needs more tokens than sinks");
        const std::size_t removed =
            n - static_cast<std::size_t>(static_cast<double>(n) * (1.0 - head.removed_fraction()));
        for (std::size_t i = 0; i < n; ++i) out[i] = i < first || i >= first + removed ? 1 : 0;
    }
};

// What is kept at a capacity C: the sinks and the newest C - sinks.
struct StreamingLlmOfPaper {
    int sinks = 4;

    static constexpr evictlab::Info info{
        .id = "streaming_llm",
        .name = "StreamingLLM (paper)",
        .description = "position < sinks: keep; else the newer the higher",
        .reference = "Xiao et al. 2023, Efficient Streaming Language Models with Attention Sinks, arXiv:2309.17453"};
    static constexpr evictlab::Columns columns{"position"};
    static constexpr evictlab::Parameter<StreamingLlmOfPaper> parameters[] = {
        {&StreamingLlmOfPaper::sinks, {.key = "sinks", .label = "sinks", .help = "first tokens kept", .max = 1024}}};
    static constexpr evictlab::Preset presets[] = {
        {"paper", "4 sinks, kept at their true positions", {}, evictlab::Standing::published}};

    void score(evictlab::Head<StreamingLlmOfPaper> head, std::span<double> out) const {
        const auto position = head["position"];
        for (std::size_t i = 0; i < out.size(); ++i) out[i] = position[i] < sinks ? evictlab::keep : position[i];
    }
};
EVICTLAB_SCORER(StreamingLlm, StreamingLlmOfKvpress, StreamingLlmOfPaper)
