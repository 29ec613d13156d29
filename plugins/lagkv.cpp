// LagKV: the spread of a token's key and value channels, measured by the range of the partition that follows.
// SPDX-License-Identifier: MIT
#include <evictlab/scorer.hpp>

#include <algorithm>
#include <numeric>
#include <vector>

// Partitions of `lag` tokens behind the sinks. Those before the last whole one are scored.
struct Partitions {
    std::size_t sinks, lag, tokens;
    bool long_enough() const { return tokens >= sinks + 2 * lag; }
    std::size_t scored() const { return (tokens - sinks) / lag - 1; }
    bool is_scored(std::size_t j) const { return long_enough() && j >= sinks && j < sinks + scored() * lag; }
};

struct LagKv {
    int lag = 128, sinks = 4;
    bool cross_scoring = false;

    static constexpr evictlab::Info info{
        .id = "lagkv",
        .name = "LagKV",
        .description = "the rank of (lag_key + lag_value)/2 within its partition, over lag; sinks and the tail: 1",
        .reference = "Liang et al. 2025, LagKV, arXiv:2504.04704; NVIDIA kvpress 0.5.5, LagKVPress"};
    static constexpr evictlab::Columns columns{"lag_key:{lag}:sinks={sinks}", "lag_value:{lag}:sinks={sinks}"};
    static constexpr evictlab::Parameter<LagKv> parameters[] = {
        {&LagKv::lag, {.key = "lag", .label = "lag", .help = "tokens of a partition", .min = 1, .max = 1 << 20}},
        {&LagKv::sinks, {.key = "sinks", .label = "sinks", .help = "first tokens protected", .max = 1024}},
        {&LagKv::cross_scoring,
         {.key = "cross_scoring", .label = "across partitions", .help = "the mean itself, not its rank"}}};
    static constexpr evictlab::Preset presets[] = {
        {"kvpress", "kvpress's defaults", {}, evictlab::Standing::published}};

    void score(evictlab::Head<LagKv> head, std::span<double> out) const {
        const auto key = head["lag_key"], value = head["lag_value"];
        const Partitions parts{static_cast<std::size_t>(sinks), static_cast<std::size_t>(lag), out.size()};
        if (!parts.long_enough()) {
            const double behind = static_cast<double>(out.size()) - sinks;
            for (std::size_t j = 0; j < out.size(); ++j)
                out[j] = j < parts.sinks ? 1 : (static_cast<double>(j) - sinks) / behind;
            return;
        }
        for (std::size_t j = 0; j < out.size(); ++j) out[j] = parts.is_scored(j) ? (key[j] + value[j]) / 2 : 1;
        for (std::size_t p = 0; !cross_scoring && p < parts.scored(); ++p)
            replace_by_rank(out.subspan(parts.sinks + p * parts.lag, parts.lag));
    }

    static void replace_by_rank(std::span<double> values) {
        std::vector<std::size_t> order(values.size());
        std::iota(order.begin(), order.end(), std::size_t{0});
        std::ranges::stable_sort(order, {}, [&](std::size_t i) { return values[i]; });
        for (std::size_t rank = 0; rank < order.size(); ++rank)
            values[order[rank]] = static_cast<double>(rank) / static_cast<double>(order.size());
    }
};

// The authors keep the same share of every partition; sinks, the last whole partition and the tail are kept beside.
struct LagKvOfPaper {
    int lag = 1024, sinks = 16;
    double value_weight = 1;

    static constexpr evictlab::Info info{
        .id = "lagkv",
        .name = "LagKV (paper)",
        .description =
            "1 for the best (1 - c) lag tokens of each partition by lag_key + value_weight lag_value, the sinks "
            "and the tail; else 0",
        .reference = "LagKV 2a9d19e; Liang et al. 2025, LagKV, arXiv:2504.04704",
        .budgeted = true};
    static constexpr evictlab::Columns columns{"lag_key:{lag}:sinks={sinks}", "lag_value:{lag}:sinks={sinks}"};
    static constexpr evictlab::Parameter<LagKvOfPaper> parameters[] = {
        {&LagKvOfPaper::lag, {.key = "lag", .label = "lag", .help = "tokens of a partition", .min = 1, .max = 1 << 20}},
        {&LagKvOfPaper::sinks, {.key = "sinks", .label = "sinks", .help = "first tokens kept", .max = 1024}},
        {&LagKvOfPaper::value_weight,
         {.key = "value_weight", .label = "value weight", .help = "of the values' part", .max = 100}}};
    // It leaves prompts of less than 2064 tokens alone: in `all` a row without any eviction would lead the table.
    static constexpr evictlab::Preset presets[] = {{"paper",
                                                    "the authors' defaults; their ratio is the retention",
                                                    {{"lag", 1024}, {"sinks", 16}},
                                                    evictlab::Standing::published_by_name}};

    std::size_t of_a_partition(double removed_fraction) const {
        return static_cast<std::size_t>((1.0 - removed_fraction) * lag);
    }

    void score(evictlab::Head<LagKvOfPaper> head, std::span<double> out) const {
        const auto key = head["lag_key"], value = head["lag_value"];
        const Partitions parts{static_cast<std::size_t>(sinks), static_cast<std::size_t>(lag), out.size()};
        const std::size_t kept = of_a_partition(head.removed_fraction());
        std::ranges::fill(out, 1.0);
        if (!parts.long_enough()) return;
        std::vector<std::size_t> order(parts.lag);
        for (std::size_t p = 0; p < parts.scored(); ++p) {
            std::iota(order.begin(), order.end(), parts.sinks + p * parts.lag);
            std::ranges::stable_sort(order, std::greater{},
                                     [&](std::size_t j) { return key[j] + value_weight * value[j]; });
            for (std::size_t i = kept; i < order.size(); ++i) out[order[i]] = 0;
        }
    }

    std::size_t layer_budget(const evl_budget_query& query) const {
        const Partitions parts{static_cast<std::size_t>(sinks), static_cast<std::size_t>(lag), query.tokens};
        if (!parts.long_enough()) return query.tokens;
        return query.tokens - parts.scored() * (parts.lag - of_a_partition(query.removed_fraction));
    }
};
EVICTLAB_SCORER(LagKv, LagKvOfPaper)
