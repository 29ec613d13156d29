// The small champion: what a window of queries attended to and the next ones are expected to, and how rare the key is.
// SPDX-License-Identifier: MIT
#pragma once
#include <evictlab/scorer.hpp>

#include <cmath>

/// docs/results/evolved-small.md tells what it is made of and how it was found.
struct EvolvedSmall {
    static constexpr evictlab::Info info{
        .id = "evolved",
        .name = "Evolved (small)",
        .description = "window, expected and replayed attention and recency; what these leave alike by the window's "
                       "rank and by how rare the key is",
        .reference = "docs/results/evolved-small.md: put together by hand from what tuning found to matter"};
    static constexpr evictlab::Columns columns{"window_attn:64:pool=5:avg",
                                               "expected_attn",
                                               "replayed_attn:256:rms",
                                               "relative_pos",
                                               "replayed_attn:64:rms",
                                               "rank:window_attn:64:pool=5:avg",
                                               "rank:key_cos"};
    static constexpr evictlab::Preset presets[] = {
        {"small",
         "the champion of docs/results/evolved-small.md",
         {},
         evictlab::Standing::listed,
         nullptr,
         "window_attn:64:pool=5:avg + 4*sqrt(expected_attn*replayed_attn:256:rms) + 0.08/(relative_pos + 1) + "
         "0.8*replayed_attn:64:rms + 0.005*(rank:window_attn:64:pool=5:avg - rank:key_cos)"}};

    void score(evictlab::Head<EvolvedSmall> head, std::span<double> out) const {
        const auto pooled = head["window_attn:64:pool=5:avg"], expected = head["expected_attn"];
        const auto replayed_256 = head["replayed_attn:256:rms"], replayed = head["replayed_attn:64:rms"];
        const auto age = head["relative_pos"];
        const auto pooled_rank = head["rank:window_attn:64:pool=5:avg"], common = head["rank:key_cos"];
        for (std::size_t i = 0; i < out.size(); ++i)
            out[i] = pooled[i] + 4 * std::sqrt(expected[i] * replayed_256[i]) + 0.08 / (age[i] + 1) +
                     0.8 * replayed[i] + 0.005 * (pooled_rank[i] - common[i]);
    }
};
