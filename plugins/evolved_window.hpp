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
        .reference = "docs/results/evolved-budgets.md: found by gradients through three models",
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
                                               "rank:window_attn:256",
                                               "rank:value_norm",
                                               "rank:lag_value",
                                               "rank:key_norm",
                                               "rank:key_cos",
                                               "rank:lag_key",
                                               "head_mean:defensive_attn:64:pool=5",
                                               "head_share:wov_norm",
                                               "layer_mean:head_share:wov_norm",
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
        const auto rank_window_attn_256 = head["rank:window_attn:256"];
        const auto rank_value_norm = head["rank:value_norm"];
        const auto rank_lag_value = head["rank:lag_value"];
        const auto rank_key_norm = head["rank:key_norm"];
        const auto rank_key_cos = head["rank:key_cos"];
        const auto rank_lag_key = head["rank:lag_key"];
        const auto head_mean_defensive_attn_64_pool_5 = head["head_mean:defensive_attn:64:pool=5"];
        const auto head_share_wov_norm = head["head_share:wov_norm"];
        const auto layer_mean_head_share_wov_norm = head["layer_mean:head_share:wov_norm"];
        const auto head_mean_window_std_256 = head["head_mean:window_std:256"];
        const auto head_mean_wov_norm = head["head_mean:wov_norm"];
        const auto layer_mean_wov_norm = head["layer_mean:wov_norm"];
        for (std::size_t i = 0; i < out.size(); ++i) {
            const double score =
                position[i] < 4.0
                    ? evictlab::keep
                    : 0.5518 * defensive_attn_64_pool_5[i] + 1.348 * window_attn_64_pool_5_avg[i] +
                          0.6501 * replayed_attn_64_rms[i] + 0.501 * replayed_attn_256_rms[i] +
                          0.1039 * std::sqrt(replayed_attn_256_rms[i]) + 0.09655 * window_std_256[i] +
                          std::sqrt(window_attn_256[i]) * (0.2455 - 0.1418 * layer_ratio[i]) +
                          std::sqrt(window_attn_64[i]) * (0.1482 - 0.13 * layer_ratio[i]) +
                          window_attn_256[i] * rank_wov_norm[i] * (5.94 * layer_ratio[i] - 3.179) +
                          (0.0617) / (relative_pos[i] + 0.6249) + 0.004458 * rank_window_attn_64_pool_5_avg[i] +
                          0.007796 * rank_replayed_attn_256_rms[i] +
                          rank_window_attn_256[i] * (0.007395 * layer_ratio[i] - 0.003697) + 0.0015 * rank_wov_norm[i] +
                          rank_value_norm[i] * (layer_ratio[i] * (0.01176 - 0.007622 * layer_ratio[i]) - 0.000484) +
                          0.003362 * rank_lag_value[i] +
                          std::max(0.1981 - rank_key_norm[i], 0.0) * (0.1183 - 0.1482 * layer_ratio[i]) +
                          std::max(rank_key_norm[i] - 0.8, 0.0) * (0.09777 - 0.1955 * layer_ratio[i]) +
                          rank_key_cos[i] * (0.003821 - 0.01007 * layer_ratio[i]) +
                          rank_lag_key[i] * (0.005164 - 0.01033 * layer_ratio[i]) +
                          (0.4882 * std::pow(head_mean_defensive_attn_64_pool_5[i], 0.7358) +
                           0.1608 * std::sqrt(head_mean_defensive_attn_64_pool_5[i])) *
                              (0.474 + (0.6251 * head_share_wov_norm[i]) / (layer_mean_head_share_wov_norm[i])) -
                          1.003 * head_mean_window_std_256[i] -
                          (0.006955 * head_mean_wov_norm[i]) / (layer_mean_wov_norm[i]) +
                          layer_ratio[i] * layer_ratio[i] * (0.00835 - 0.0167 * layer_ratio[i]);
            out[i] = std::isnan(score) ? evictlab::drop : score;
        }
    }

    void model_budgets(evictlab::Model model, std::span<std::uint64_t> kept) const { share_model(model, kept); }
};
