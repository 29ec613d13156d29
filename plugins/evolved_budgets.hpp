// The champion where the heads of all layers share one budget.
// SPDX-License-Identifier: MIT
#pragma once
#include <evictlab/scorer.hpp>

#include <algorithm>
#include <cmath>

#include "model_shares.hpp"

/// docs/results/evolved-budgets.md has the formula.
struct EvolvedBudgets {
    static constexpr evictlab::Info info{
        .id = "evolved",
        .name = "Evolved (budgets of the model)",
        .description = "what evolved@real reads, and a floor by how many different tokens a head's queries look at; "
                       "the heads of all layers share one budget",
        .reference = "docs/results/evolved-budgets.md: found by gradients through SmolLM2-135M-Instruct",
        .equal_layers = true};
    static constexpr evictlab::Columns columns{"position",
                                               "rank:lag_value:32",
                                               "rank:cumulative_attn",
                                               "rank:lag_value",
                                               "rank:window_attn:64:pool=5:avg",
                                               "rank:expected_attn",
                                               "layer_ratio",
                                               "rank:replayed_attn:all:rms",
                                               "window_std:256",
                                               "replayed_attn:256:rms",
                                               "replayed_attn:all:rms",
                                               "replayed_attn:64:rms",
                                               "window_attn:64:pool=5:avg",
                                               "observed_attn",
                                               "rank:wov_norm",
                                               "relative_pos",
                                               "expected_attn",
                                               "rank:key_norm",
                                               "rank:lag_key",
                                               "attn_entropy",
                                               "rank:observed_attn",
                                               "rank:key_cos",
                                               "head_mean:defensive_attn:64:pool=5",
                                               "head_share:wov_norm",
                                               "head_mean:window_std:64",
                                               "head_mean:attn_entropy",
                                               "head_mean:wov_norm",
                                               "layer_mean:wov_norm"};
    static constexpr evictlab::Preset presets[] = {
        {"budgets", "the champion of docs/results/evolved-budgets.md", {}, evictlab::Standing::listed}};

    void score(evictlab::Head<EvolvedBudgets> head, std::span<double> out) const {
        const auto position = head["position"];
        const auto rank_lag_value_32 = head["rank:lag_value:32"];
        const auto rank_cumulative_attn = head["rank:cumulative_attn"];
        const auto rank_lag_value = head["rank:lag_value"];
        const auto rank_window_attn_64_pool_5_avg = head["rank:window_attn:64:pool=5:avg"];
        const auto rank_expected_attn = head["rank:expected_attn"];
        const auto layer_ratio = head["layer_ratio"];
        const auto rank_replayed_attn_all_rms = head["rank:replayed_attn:all:rms"];
        const auto window_std_256 = head["window_std:256"];
        const auto replayed_attn_256_rms = head["replayed_attn:256:rms"];
        const auto replayed_attn_all_rms = head["replayed_attn:all:rms"];
        const auto replayed_attn_64_rms = head["replayed_attn:64:rms"];
        const auto window_attn_64_pool_5_avg = head["window_attn:64:pool=5:avg"];
        const auto observed_attn = head["observed_attn"];
        const auto rank_wov_norm = head["rank:wov_norm"];
        const auto relative_pos = head["relative_pos"];
        const auto expected_attn = head["expected_attn"];
        const auto rank_key_norm = head["rank:key_norm"];
        const auto rank_lag_key = head["rank:lag_key"];
        const auto attn_entropy = head["attn_entropy"];
        const auto rank_observed_attn = head["rank:observed_attn"];
        const auto rank_key_cos = head["rank:key_cos"];
        const auto head_mean_defensive_attn_64_pool_5 = head["head_mean:defensive_attn:64:pool=5"];
        const auto head_share_wov_norm = head["head_share:wov_norm"];
        const auto head_mean_window_std_64 = head["head_mean:window_std:64"];
        const auto head_mean_attn_entropy = head["head_mean:attn_entropy"];
        const auto head_mean_wov_norm = head["head_mean:wov_norm"];
        const auto layer_mean_wov_norm = head["layer_mean:wov_norm"];
        for (std::size_t i = 0; i < out.size(); ++i) {
            const double score =
                position[i] < 4.0
                    ? evictlab::keep
                    : 0.0003124 * rank_lag_value_32[i] + 0.003722 * rank_cumulative_attn[i] +
                          0.0008173 * rank_lag_value[i] + 0.004923 * rank_window_attn_64_pool_5_avg[i] +
                          rank_expected_attn[i] * (0.009605 - 0.003176 * layer_ratio[i]) +
                          0.006125 * rank_replayed_attn_all_rms[i] + 0.08327 * window_std_256[i] +
                          0.2813 * replayed_attn_256_rms[i] + 0.3681 * replayed_attn_all_rms[i] +
                          0.6489 * replayed_attn_64_rms[i] + 1.578 * window_attn_64_pool_5_avg[i] +
                          0.01639 * std::sqrt(observed_attn[i]) + 0.001485 * std::min(rank_wov_norm[i], 0.2238) +
                          (0.05758) / (relative_pos[i] + 1.307) + 0.3836 * std::pow(observed_attn[i], 1.194) +
                          2.653 * std::sqrt(expected_attn[i] * replayed_attn_256_rms[i]) +
                          (0.01186 - 0.005932 * layer_ratio[i]) *
                              std::max(rank_key_norm[i] - 0.2801 - 0.7736 * layer_ratio[i], 0.0) -
                          0.0009973 * rank_key_norm[i] + (0.00179 - 0.003581 * layer_ratio[i]) * rank_lag_key[i] +
                          attn_entropy[i] * (0.0015618 * layer_ratio[i] - 0.001343) +
                          rank_observed_attn[i] * rank_wov_norm[i] * (0.007015 * layer_ratio[i] - 0.001377) +
                          observed_attn[i] * rank_wov_norm[i] * (1.021 * layer_ratio[i] - 0.5415) +
                          std::sqrt(expected_attn[i] * window_attn_64_pool_5_avg[i]) *
                              (4.861 - 9.463 * layer_ratio[i]) +
                          expected_attn[i] *
                              (rank_wov_norm[i] * (2.632 * layer_ratio[i] - 1.073) +
                               rank_key_norm[i] * (5.119 * layer_ratio[i] - 4.237) + 2.983 - 3.97 * layer_ratio[i]) -
                          0.005534 * layer_ratio[i] * rank_key_cos[i] +
                          head_mean_defensive_attn_64_pool_5[i] *
                              (1.143 + 4.967 * head_share_wov_norm[i] + 0.1536 * rank_key_cos[i]) -
                          2.284 * head_mean_window_std_64[i] + 0.0016436 * head_mean_attn_entropy[i] +
                          (0.004873 * head_mean_wov_norm[i]) / (layer_mean_wov_norm[i]);
            out[i] = std::isnan(score) ? evictlab::drop : score;
        }
    }

    void model_budgets(evictlab::Model model, std::span<std::uint64_t> kept) const { share_model(model, kept); }
};
