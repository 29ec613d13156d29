// The champion that reads no more than the last 256 queries; the heads of all layers share one budget.
// SPDX-License-Identifier: MIT
#pragma once
#include <evictlab/scorer.hpp>

#include <algorithm>
#include <cmath>

#include "model_shares.hpp"

/// docs/results/evolved-budgets.md has the formula.
struct EvolvedWindow {
    static constexpr evictlab::Info info{
        .id = "evolved",
        .name = "Evolved (a window of queries)",
        .description =
            "what the last 256 queries attend to, now and if they were asked again, what the value does, and a floor "
            "by how many different tokens a head's queries look at; the heads of all layers share one budget",
        .reference = "docs/results/evolved-budgets.md: found by gradients through SmolLM2-135M-Instruct",
        .equal_layers = true};
    static constexpr evictlab::Columns columns{"position",
                                               "defensive_attn:64:pool=5",
                                               "window_attn:64:pool=5:avg",
                                               "replayed_attn:64:rms",
                                               "replayed_attn:256:rms",
                                               "window_std:256",
                                               "window_attn:256",
                                               "layer_ratio",
                                               "window_attn:64",
                                               "rank:wov_norm",
                                               "relative_pos",
                                               "rank:window_attn:64:pool=5:avg",
                                               "rank:replayed_attn:256:rms",
                                               "rank:value_norm",
                                               "rank:key_norm",
                                               "rank:key_cos",
                                               "head_mean:defensive_attn:64:pool=5",
                                               "head_share:wov_norm",
                                               "head_mean:window_std:256",
                                               "head_mean:wov_norm",
                                               "layer_mean:wov_norm"};
    static constexpr evictlab::Preset presets[] = {
        {"window", "the champion of docs/results/evolved-budgets.md", {}, evictlab::Standing::listed}};

    void score(evictlab::Head<EvolvedWindow> head, std::span<double> out) const {
        const auto position = head["position"];
        const auto defensive_attn_64_pool_5 = head["defensive_attn:64:pool=5"];
        const auto window_attn_64_pool_5_avg = head["window_attn:64:pool=5:avg"];
        const auto replayed_attn_64_rms = head["replayed_attn:64:rms"];
        const auto replayed_attn_256_rms = head["replayed_attn:256:rms"];
        const auto window_std_256 = head["window_std:256"];
        const auto window_attn_256 = head["window_attn:256"];
        const auto layer_ratio = head["layer_ratio"];
        const auto window_attn_64 = head["window_attn:64"];
        const auto rank_wov_norm = head["rank:wov_norm"];
        const auto relative_pos = head["relative_pos"];
        const auto rank_window_attn_64_pool_5_avg = head["rank:window_attn:64:pool=5:avg"];
        const auto rank_replayed_attn_256_rms = head["rank:replayed_attn:256:rms"];
        const auto rank_value_norm = head["rank:value_norm"];
        const auto rank_key_norm = head["rank:key_norm"];
        const auto rank_key_cos = head["rank:key_cos"];
        const auto head_mean_defensive_attn_64_pool_5 = head["head_mean:defensive_attn:64:pool=5"];
        const auto head_share_wov_norm = head["head_share:wov_norm"];
        const auto head_mean_window_std_256 = head["head_mean:window_std:256"];
        const auto head_mean_wov_norm = head["head_mean:wov_norm"];
        const auto layer_mean_wov_norm = head["layer_mean:wov_norm"];
        for (std::size_t i = 0; i < out.size(); ++i) {
            const double score =
                position[i] < 4.0
                    ? evictlab::keep
                    : 0.5038 * defensive_attn_64_pool_5[i] + 1.517 * window_attn_64_pool_5_avg[i] +
                          0.5787 * replayed_attn_64_rms[i] + 0.5093 * replayed_attn_256_rms[i] +
                          0.06927 * std::sqrt(replayed_attn_256_rms[i]) + 0.1931 * window_std_256[i] +
                          std::sqrt(window_attn_256[i]) * (0.1953 - 0.2139 * layer_ratio[i]) +
                          std::sqrt(window_attn_64[i]) * (0.09878 - 0.1976 * layer_ratio[i]) +
                          window_attn_256[i] * rank_wov_norm[i] * (5.662 * layer_ratio[i] - 2.831) +
                          (0.05863) / (relative_pos[i] + 0.8471) + 0.004055 * rank_window_attn_64_pool_5_avg[i] +
                          0.005212 * rank_replayed_attn_256_rms[i] + 0.001 * rank_wov_norm[i] +
                          rank_value_norm[i] * (0.007622 * layer_ratio[i] - 0.007244) +
                          std::max(0.2 - rank_key_norm[i], 0.0) * (0.1149 - 0.1617 * layer_ratio[i]) +
                          rank_key_cos[i] * (0.00409 - 0.008181 * layer_ratio[i]) +
                          head_mean_defensive_attn_64_pool_5[i] * (1.174 + 4.745 * head_share_wov_norm[i]) -
                          0.6688 * head_mean_window_std_256[i] +
                          (0.007871 * head_mean_wov_norm[i]) / (layer_mean_wov_norm[i]);
            out[i] = std::isnan(score) ? evictlab::drop : score;
        }
    }

    void model_budgets(evictlab::Model model, std::span<std::uint64_t> kept) const { share_model(model, kept); }
};
