// The champion that reads no queries: keys, values, positions and what a calibration learned of the model.
// SPDX-License-Identifier: MIT
#pragma once
#include <evictlab/scorer.hpp>

#include <algorithm>
#include <cmath>

/// docs/results/evolved-keys.md tells what it is made of and how it was found.
struct EvolvedKeys {
    static constexpr evictlab::Info info{
        .id = "evolved",
        .name = "Evolved (keys and values)",
        .description =
            "what the usual queries of its head will give the key, by two calibrated rules, recency, and what key "
            "and value are among those of their layer; the sinks kept",
        .reference = "docs/results/evolved-keys.md: found by gradients through three models"};
    static constexpr evictlab::Columns columns{"position",
                                               "tri_score",
                                               "layer_ratio",
                                               "zscore:query_axis",
                                               "relative_pos",
                                               "rank:wov_norm",
                                               "rank:key_leverage",
                                               "rank:key_norm",
                                               "rank:tri_score",
                                               "head_share:rank:tri_score",
                                               "rank:key_cos",
                                               "head_share:rank:key_cos",
                                               "rank:value_share:16",
                                               "rank:key_share:16",
                                               "head_share:wov_norm",
                                               "rank:lag_value:32",
                                               "rank:lag_key",
                                               "relative_age",
                                               "tri_score:mean",
                                               "rank:query_axis",
                                               "rank:lag_value"};
    static constexpr evictlab::Preset presets[] = {
        {"keys",
         "the champion of docs/results/evolved-keys.md",
         {},
         evictlab::Standing::listed,
         nullptr,
         "if(position < 4, keep, tri_score + (0.4486 + 0.27*layer_ratio)*zscore:query_axis + "
         "4.231*exp(-relative_pos/29) + 1.546/(relative_pos + 1.5) + 1.551*min(rank:wov_norm, 0.3078) + (0.15 "
         "- 0.15*layer_ratio)*rank:key_leverage + 0.75*rank:key_norm + 1.35*max(rank:key_norm - 0.4575, 0) + "
         "(1.553 - 0.8*layer_ratio)*rank:tri_score/head_share:rank:tri_score - 0.8814*rank:key_cos - "
         "1.479*rank:key_cos/head_share:rank:key_cos - (0.45 + 0.55*layer_ratio)*min(tri_score, 0) + "
         "0.3*rank:value_share:16 + 0.195*rank:key_share:16 + (14.69*layer_ratio - 3.828)*head_share:wov_norm "
         "+ 0.6604*rank:lag_value:32 - 1.405*rank:lag_key + 0.8004*relative_age + (0.6264 - "
         "1.253*layer_ratio)*tri_score:mean + (3.333*layer_ratio - 1.666)*rank:query_axis + "
         "(2.153*layer_ratio - 1.076)*rank:lag_value + (12.29 - 24.59*layer_ratio)/(position + 1))"}};

    void score(evictlab::Head<EvolvedKeys> head, std::span<double> out) const {
        const auto position = head["position"];
        const auto tri_score = head["tri_score"];
        const auto layer_ratio = head["layer_ratio"];
        const auto zscore_query_axis = head["zscore:query_axis"];
        const auto relative_pos = head["relative_pos"];
        const auto rank_wov_norm = head["rank:wov_norm"];
        const auto rank_key_leverage = head["rank:key_leverage"];
        const auto rank_key_norm = head["rank:key_norm"];
        const auto rank_tri_score = head["rank:tri_score"];
        const auto head_share_rank_tri_score = head["head_share:rank:tri_score"];
        const auto rank_key_cos = head["rank:key_cos"];
        const auto head_share_rank_key_cos = head["head_share:rank:key_cos"];
        const auto rank_value_share_16 = head["rank:value_share:16"];
        const auto rank_key_share_16 = head["rank:key_share:16"];
        const auto head_share_wov_norm = head["head_share:wov_norm"];
        const auto rank_lag_value_32 = head["rank:lag_value:32"];
        const auto rank_lag_key = head["rank:lag_key"];
        const auto relative_age = head["relative_age"];
        const auto tri_score_mean = head["tri_score:mean"];
        const auto rank_query_axis = head["rank:query_axis"];
        const auto rank_lag_value = head["rank:lag_value"];
        for (std::size_t i = 0; i < out.size(); ++i) {
            const double score =
                position[i] < 4.0
                    ? evictlab::keep
                    : tri_score[i] + (0.4486 + 0.27 * layer_ratio[i]) * zscore_query_axis[i] +
                          4.231 * std::exp(-relative_pos[i] / 29.0) + 1.546 / (relative_pos[i] + 1.5) +
                          1.551 * std::min(rank_wov_norm[i], 0.3078) +
                          (0.15 - 0.15 * layer_ratio[i]) * rank_key_leverage[i] + 0.75 * rank_key_norm[i] +
                          1.35 * std::max(rank_key_norm[i] - 0.4575, 0.0) +
                          divide((1.553 - 0.8 * layer_ratio[i]) * rank_tri_score[i], head_share_rank_tri_score[i]) -
                          0.8814 * rank_key_cos[i] - divide(1.479 * rank_key_cos[i], head_share_rank_key_cos[i]) -
                          (0.45 + 0.55 * layer_ratio[i]) * std::min(tri_score[i], 0.0) + 0.3 * rank_value_share_16[i] +
                          0.195 * rank_key_share_16[i] + (14.69 * layer_ratio[i] - 3.828) * head_share_wov_norm[i] +
                          0.6604 * rank_lag_value_32[i] - 1.405 * rank_lag_key[i] + 0.8004 * relative_age[i] +
                          (0.6264 - 1.253 * layer_ratio[i]) * tri_score_mean[i] +
                          (3.333 * layer_ratio[i] - 1.666) * rank_query_axis[i] +
                          (2.153 * layer_ratio[i] - 1.076) * rank_lag_value[i] +
                          (12.29 - 24.59 * layer_ratio[i]) / (position[i] + 1.0);
            out[i] = std::isnan(score) ? evictlab::drop : score;
        }
    }

private:
    /// As formulas divide: 0 where b is 0, as the share of a head is whose rank is 0.
    static double divide(double a, double b) { return b == 0 ? 0 : a / b; }
};
