// Q-Filters: keys that lie along the direction in which the queries of their head usually point.
// SPDX-License-Identifier: MIT
#include <evictlab/scorer.hpp>

#include <algorithm>

struct QFilter {
    int window = 0;

    static constexpr evictlab::Info info{
        .id = "qfilter",
        .name = "Q-Filters",
        .description = "query_axis; a window of the newest tokens above all",
        .reference = "Godey et al. 2025, Q-Filters, arXiv:2503.02812; NVIDIA kvpress 0.5.5, QFilterPress; "
                     "NathanGodey/qfilters cda5c38"};
    static constexpr evictlab::Columns columns{"query_axis"};
    static constexpr evictlab::Parameter<QFilter> parameters[] = {
        {&QFilter::window, {.key = "window", .label = "window", .help = "newest tokens protected", .max = 4096}}};
    static constexpr evictlab::Preset presets[] = {
        {"kvpress",
         "kvpress's rule, which protects nothing, by directions of our own calibration",
         {},
         evictlab::Standing::published},
        {"paper",
         "the authors' cache, once, at the end of the prompt: the newest 64 stay",
         {{"window", 64}},
         evictlab::Standing::published}};

    void score(evictlab::Batch<QFilter> batch, std::span<double> scores) const {
        double highest = -std::numeric_limits<double>::infinity();
        for (std::size_t h = 0; h < batch.heads(); ++h) {
            const auto along = batch.head(h)["query_axis"];
            std::ranges::copy(along, batch.row(scores, h).begin());
            highest = std::max(highest, std::ranges::max(along));
        }
        const std::size_t newest = std::min(batch.tokens(), static_cast<std::size_t>(window));
        for (std::size_t h = 0; h < batch.heads(); ++h)
            std::ranges::fill(batch.row(scores, h).last(newest), 1 + highest);
    }
};
EVICTLAB_SCORER(QFilter)
