// Evolved: the champion of the original evolution, whose weights follow the depth of the layer, and those on real
// attention, found by gradients of models' KL divergence on documents to train on.
// SPDX-License-Identifier: MIT
#include <evictlab/scorer.hpp>

#include <algorithm>
#include <cmath>

#include "evolved_budgets.hpp"
#include "evolved_keys.hpp"
#include "evolved_small.hpp"
#include "evolved_window.hpp"

struct Evolved {
    int sinks = 4, newest = 4, window = 128;
    double recent_weight = 0.7, shift = 0.2, power = 0.25, recency = 0.15, depth = 0.1, penalty = 0.1;

    static constexpr evictlab::Info info{
        .id = "evolved",
        .name = "Evolved (layer-aware)",
        .description =
            "hybrid_start with weights, power and recency that change with the layer, minus a key norm penalty",
        .reference = "the original benchmark, generation 4",
        .formula =
            "if(position < 4, keep, if(relative_pos < 4, 1e6 - relative_pos, (0.7 - 0.2*layer_ratio)*recent_attn + "
            "(0.3 + 0.2*layer_ratio)*cumulative_attn*((position + 1)/sequence_len)^(0.25 + 0.1*layer_ratio) + "
            "(0.15 + 0.1*layer_ratio)*max(0, 1 - relative_pos/128) - 0.1*min(key_norm, 2)))"};
    static constexpr evictlab::Columns columns{"position", "relative_pos", "cumulative_attn", "recent_attn",
                                               "key_norm"};
    static constexpr evictlab::Parameter<Evolved> parameters[] = {
        {&Evolved::sinks, {.key = "sinks", .help = "first tokens always kept", .max = 1024}},
        {&Evolved::newest, {.key = "newest", .help = "newest tokens put first", .max = 1 << 20}},
        {&Evolved::window, {.key = "window", .help = "age where recency ends, in tokens", .min = 1, .max = 1 << 20}},
        {&Evolved::recent_weight,
         {.key = "recent_weight", .help = "of recent_attn in layer 0; cumulative_attn: the rest"}},
        {&Evolved::shift, {.key = "shift", .help = "weight that moves to cumulative_attn by the last layer"}},
        {&Evolved::power, {.key = "power", .help = "of the relative position in layer 0", .max = 4}},
        {&Evolved::recency, {.key = "recency", .help = "weight of being new in layer 0", .max = 10}},
        {&Evolved::depth, {.key = "depth", .help = "that power and recency gain by the last layer"}},
        {&Evolved::penalty, {.key = "penalty", .help = "weight of the key norm, capped at 2", .max = 10}}};

    void score(evictlab::Head<Evolved> head, std::span<double> out) const {
        const auto position = head["position"], age = head["relative_pos"], norm = head["key_norm"];
        const auto cumulative = head["cumulative_attn"], recent = head["recent_attn"];
        const double ratio = head.layer_ratio(), length = static_cast<double>(head.sequence_len());
        const double recent_part = recent_weight - shift * ratio, cumulative_part = 1 - recent_weight + shift * ratio;
        const double exponent = power + depth * ratio, bonus = recency + depth * ratio;
        for (std::size_t i = 0; i < out.size(); ++i) {
            const double correction = std::pow((position[i] + 1) / length, exponent);
            double scored = recent_part * recent[i] + cumulative_part * cumulative[i] * correction +
                            bonus * std::max(0.0, 1 - age[i] / window) - penalty * std::min(norm[i], 2.0);
            if (age[i] < newest) scored = 1e6 - age[i];
            out[i] = position[i] < sinks ? evictlab::keep : scored;
        }
    }
};

// What past queries attended to, what the next ones are expected to, and what those of the past would if they were
// asked again at the positions that follow. Ranks tell apart what nothing attends to: by what the value does behind the
// output projection and beside its neighbours', and by how rare the key is. Expected attention counts more in the first
// half of the model, and where the window agrees. The sums are in the formula's order.
struct EvolvedReal {
    int sinks = 4;

    static constexpr evictlab::Info info{
        .id = "evolved",
        .name = "Evolved (real attention)",
        .description =
            "observed, window, expected and replayed attention, recency, what the value does and how rare the key "
            "is, weighted, some by the layer; the sinks kept",
        .reference = "docs/results/evolved-real.md: found by gradients through SmolLM2-135M-Instruct"};
    static constexpr evictlab::Columns columns{"position",
                                               "relative_pos",
                                               "observed_attn",
                                               "attn_entropy",
                                               "expected_attn",
                                               "window_attn:64:pool=5:avg",
                                               "window_std:256",
                                               "replayed_attn:64:rms",
                                               "replayed_attn:256:rms",
                                               "replayed_attn:all:rms",
                                               "rank:observed_attn",
                                               "rank:cumulative_attn",
                                               "rank:expected_attn",
                                               "rank:window_attn:64:pool=5:avg",
                                               "rank:wov_norm",
                                               "rank:lag_value",
                                               "rank:lag_value:32",
                                               "rank:key_norm",
                                               "rank:key_cos"};
    static constexpr evictlab::Parameter<EvolvedReal> parameters[] = {
        {&EvolvedReal::sinks, {.key = "sinks", .label = "sinks", .help = "first tokens always kept", .max = 1024}}};
    static constexpr evictlab::Preset presets[] = {
        {"real",
         "the champion of docs/results/evolved-real.md",
         {},
         evictlab::Standing::listed,
         nullptr,
         "if(position < 4, keep, 0.00109*rank:lag_value:32 + 0.0018*rank:cumulative_attn + 0.00186*rank:lag_value "
         "+ 0.00314*rank:window_attn:64:pool=5:avg + 0.00382*rank:expected_attn + 0.0861*window_std:256 + "
         "0.184*replayed_attn:256:rms + 0.36*replayed_attn:all:rms + 0.46*replayed_attn:64:rms + "
         "1.7*window_attn:64:pool=5:avg + 0.0241*sqrt(observed_attn) + 0.00594*min(rank:wov_norm, 0.35) + "
         "0.0523/(relative_pos + 1) + 0.559*observed_attn^1.1 + 3.1*sqrt(expected_attn*replayed_attn:256:rms) + "
         "0.00525*max(rank:key_norm - 0.8, 0) + attn_entropy*(0.00119*layer_ratio - 0.000973) + "
         "rank:observed_attn*rank:wov_norm*(0.0049*layer_ratio - 0.00105) + "
         "sqrt(expected_attn*window_attn:64:pool=5:avg)*(5.23 - 9.85*layer_ratio) + "
         "expected_attn*(0.548*rank:wov_norm + rank:key_norm*(4.75*layer_ratio - 4.2) + 3.15 - 4.11*layer_ratio) - "
         "rank:key_cos*(0.0033*layer_ratio + 0.00139))"}};

    void score(evictlab::Head<EvolvedReal> head, std::span<double> out) const {
        const auto position = head["position"], age = head["relative_pos"];
        const auto observed = head["observed_attn"], entropy = head["attn_entropy"], expected = head["expected_attn"];
        const auto pooled = head["window_attn:64:pool=5:avg"], spread = head["window_std:256"];
        const auto replayed = head["replayed_attn:64:rms"], replayed_256 = head["replayed_attn:256:rms"];
        const auto replayed_all = head["replayed_attn:all:rms"];
        const auto observed_rank = head["rank:observed_attn"], cumulative_rank = head["rank:cumulative_attn"];
        const auto expected_rank = head["rank:expected_attn"], pooled_rank = head["rank:window_attn:64:pool=5:avg"];
        const auto value = head["rank:wov_norm"], apart = head["rank:lag_value"], apart_32 = head["rank:lag_value:32"];
        const auto key = head["rank:key_norm"], common = head["rank:key_cos"];
        const double layer = head.layer_ratio();
        for (std::size_t i = 0; i < out.size(); ++i) {
            const double worth = 3.15 + 0.548 * value[i] + key[i] * (4.75 * layer - 4.2) - 4.11 * layer;
            const double score =
                0.00109 * apart_32[i] + 0.0018 * cumulative_rank[i] + 0.00186 * apart[i] + 0.00314 * pooled_rank[i] +
                0.00382 * expected_rank[i] + 0.0861 * spread[i] + 0.184 * replayed_256[i] + 0.36 * replayed_all[i] +
                0.46 * replayed[i] + 1.7 * pooled[i] + 0.0241 * std::sqrt(observed[i]) +
                0.00594 * std::min(value[i], 0.35) + 0.0523 / (age[i] + 1) + 0.559 * std::pow(observed[i], 1.1) +
                3.1 * std::sqrt(expected[i] * replayed_256[i]) + 0.00525 * std::max(key[i] - 0.8, 0.0) +
                entropy[i] * (0.00119 * layer - 0.000973) + observed_rank[i] * value[i] * (0.0049 * layer - 0.00105) +
                std::sqrt(expected[i] * pooled[i]) * (5.23 - 9.85 * layer) + expected[i] * worth -
                common[i] * (0.0033 * layer + 0.00139);
            out[i] = position[i] < sinks ? evictlab::keep : score;
        }
    }
};
EVICTLAB_SCORER(Evolved, EvolvedReal, EvolvedBudgets, EvolvedWindow, EvolvedKeys, EvolvedSmall)
