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
        .reference = "docs/results/evolved-budgets.md: found by gradients through three models",
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
                                               "layer_mean:head_share:wov_norm",
                                               "relative_age",
                                               "head_mean:replayed_attn:all:rms",
                                               "head_mean:replayed_attn:64:rms",
                                               "head_mean:window_max:64",
                                               "head_mean:observed_attn",
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
        const auto layer_mean_head_share_wov_norm = head["layer_mean:head_share:wov_norm"];
        const auto relative_age = head["relative_age"];
        const auto head_mean_replayed_attn_all_rms = head["head_mean:replayed_attn:all:rms"];
        const auto head_mean_replayed_attn_64_rms = head["head_mean:replayed_attn:64:rms"];
        const auto head_mean_window_max_64 = head["head_mean:window_max:64"];
        const auto head_mean_observed_attn = head["head_mean:observed_attn"];
        const auto head_mean_window_std_64 = head["head_mean:window_std:64"];
        const auto head_mean_attn_entropy = head["head_mean:attn_entropy"];
        const auto head_mean_wov_norm = head["head_mean:wov_norm"];
        const auto layer_mean_wov_norm = head["layer_mean:wov_norm"];
        for (std::size_t i = 0; i < out.size(); ++i) {
            const double score =
                position[i] < 4.0
                    ? evictlab::keep
                    : 0.0007029 * rank_lag_value_32[i] + 0.008307 * rank_cumulative_attn[i] +
                          0.0008368 * rank_lag_value[i] + 0.005211 * rank_window_attn_64_pool_5_avg[i] +
                          rank_expected_attn[i] * (0.007917 - 0.002382 * layer_ratio[i]) +
                          0.009533 * rank_replayed_attn_all_rms[i] + 0.02082 * window_std_256[i] +
                          0.3984 * replayed_attn_256_rms[i] + 0.4076 * replayed_attn_all_rms[i] +
                          0.8959 * replayed_attn_64_rms[i] + 1.508 * window_attn_64_pool_5_avg[i] +
                          0.0184 * std::sqrt(observed_attn[i]) + 0.003341 * std::min(rank_wov_norm[i], 0.1678) +
                          (0.06818) / (relative_pos[i] + 0.4215) + 0.3562 * std::pow(observed_attn[i], 1.344) +
                          3.376 * std::sqrt(expected_attn[i] * replayed_attn_256_rms[i]) +
                          (0.01031 - 0.005361 * layer_ratio[i]) *
                              std::max(rank_key_norm[i] - 0.313 - 1.16 * layer_ratio[i] * (1.0 - layer_ratio[i]), 0.0) -
                          0.000748 * rank_key_norm[i] +
                          rank_lag_key[i] * (0.0004475 - layer_ratio[i] * (0.003324 + 0.005629 * layer_ratio[i])) +
                          attn_entropy[i] * (0.002475 * layer_ratio[i] - 0.00112) +
                          rank_observed_attn[i] * rank_wov_norm[i] * (0.01062 * layer_ratio[i] - 0.001308) +
                          observed_attn[i] * rank_wov_norm[i] * (1.166 * layer_ratio[i] - 0.5867) +
                          observed_attn[i] * rank_lag_value[i] * (5.431 * layer_ratio[i] - 2.715) +
                          std::sqrt(expected_attn[i] * window_attn_64_pool_5_avg[i]) *
                              (5.654 - 8.372 * layer_ratio[i]) +
                          expected_attn[i] *
                              (rank_wov_norm[i] * (2.369 * layer_ratio[i] - 1.418) +
                               rank_key_norm[i] * (5.806 * layer_ratio[i] - 4.108) + 2.82 - 3.858 * layer_ratio[i]) -
                          layer_ratio[i] * rank_key_cos[i] * (0.009674 + 0.005048 * layer_ratio[i]) +
                          (0.4834 * std::pow(head_mean_defensive_attn_64_pool_5[i], 0.7411) +
                           0.1478 * std::sqrt(head_mean_defensive_attn_64_pool_5[i])) *
                              (0.5585 + (0.5584 * head_share_wov_norm[i]) / (layer_mean_head_share_wov_norm[i])) +
                          head_mean_defensive_attn_64_pool_5[i] *
                              (0.1885 * rank_key_norm[i] - 0.1499 * rank_key_cos[i] + 0.315 * rank_observed_attn[i] +
                               relative_age[i] * (0.03436 + 0.4675 * layer_ratio[i]) +
                               rank_lag_key[i] * (0.5426 * layer_ratio[i] - 0.2713)) +
                          head_mean_replayed_attn_all_rms[i] * (4.69 * layer_ratio[i] - 2.345) +
                          head_mean_replayed_attn_64_rms[i] * (1.212 * layer_ratio[i] - 0.606) +
                          head_mean_window_max_64[i] * (0.09533 * layer_ratio[i] - 0.04767) +
                          head_mean_observed_attn[i] * relative_age[i] * (6.982 * layer_ratio[i] - 3.491) -
                          3.251 * head_mean_window_std_64[i] + 0.001637 * head_mean_attn_entropy[i] +
                          (0.001218 * head_mean_wov_norm[i]) / (layer_mean_wov_norm[i]) +
                          layer_ratio[i] * layer_ratio[i] * (0.01746 - 0.05151 * layer_ratio[i]);
            out[i] = std::isnan(score) ? evictlab::drop : score;
        }
    }

    void model_budgets(evictlab::Model model, std::span<std::uint64_t> kept) const { share_model(model, kept); }
};
