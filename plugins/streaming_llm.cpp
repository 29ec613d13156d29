// StreamingLLM: the first tokens (attention sinks) and a window of the newest.
// SPDX-License-Identifier: MIT
#include <evictlab/scorer.hpp>

struct StreamingLlm {
    int sinks = 4;
    int window = 64;

    static constexpr evictlab::Info info{
        .id = "streaming_llm",
        .name = "StreamingLLM",
        .description = "position < sinks: keep; age < window: the newer the higher; else evict first",
        .reference = "Xiao et al. 2023, Efficient Streaming Language Models with Attention Sinks, arXiv:2309.17453"};
    static constexpr evictlab::Columns columns{"position", "relative_pos"};
    static constexpr evictlab::Parameter<StreamingLlm> parameters[] = {
        {&StreamingLlm::sinks, {.key = "sinks", .label = "sinks", .help = "first tokens always kept", .max = 1024}},
        {&StreamingLlm::window,
         {.key = "window", .label = "window", .help = "newest tokens preferred, in tokens", .max = 1 << 20}}};
    static constexpr evictlab::Preset presets[] = {
        {"seed", "the original benchmark's rule", {{"sinks", 4}, {"window", 64}}}};

    void score(evictlab::Head<StreamingLlm> head, std::span<double> out) const {
        const auto position = head["position"], age = head["relative_pos"];
        for (std::size_t i = 0; i < out.size(); ++i) {
            const double recency = age[i] < window ? 1e6 - age[i] : evictlab::drop;
            out[i] = position[i] < sinks ? evictlab::keep : recency;
        }
    }
};
EVICTLAB_SCORER(StreamingLlm)
