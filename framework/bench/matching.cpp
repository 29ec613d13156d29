// SPDX-License-Identifier: MIT
#include "framework/bench/matching.hpp"

#include <fmt/format.h>
#include <tbb/parallel_for.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <mutex>

#include "framework/bench/in_threads.hpp"

namespace evictlab {
namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();

std::map<double, double> all_with(std::span<const double> retentions, double threshold) {
    std::map<double, double> thresholds;
    for (const double retention : retentions) thresholds.emplace(1.0 - retention, threshold);
    return thresholds;
}

/// One layer of one trace.
struct Place {
    TracePtr trace;
    std::size_t layer;
};

/// The figures of all layers of the train split, in their order.
std::vector<LayerFigures> train_figures(const Suite& suite, const Protocol& protocol, const BenchOptions& options,
                                        ScorerFailures& failures) {
    std::vector<Place> places;
    for (const TracePtr& trace : suite.search_traces().train)
        for (const std::size_t layer : trace->held_layers()) places.push_back({trace, layer});
    std::mutex mutex;
    ScorerHooks hooks;
    hooks.stop = options.stop;
    hooks.skip = [&](std::size_t scorer) {
        const std::lock_guard lock(mutex);
        return failures.contains(scorer);
    };
    hooks.failed = [&](std::size_t scorer, PluginError error) {
        const std::lock_guard lock(mutex);
        failures.emplace(scorer, std::move(error));
    };
    std::vector<LayerFigures> figures(places.size());
    const auto work = [&] {
        tbb::parallel_for(std::size_t{0}, places.size(), [&](std::size_t i) {
            figures[i] = protocol.figures(*places[i].trace, places[i].layer, hooks, nullptr);
        });
    };
    in_threads(options.threads, work);
    return figures;
}

std::map<double, double> thresholds_of(const std::vector<LayerFigures>& figures, std::size_t row,
                                       std::span<const double> retentions) {
    std::map<double, double> thresholds;
    for (std::size_t r = 0; r < retentions.size(); ++r) {
        std::vector<DecidedScore> decided;
        double cached = 0, allowed = 0;
        for (const LayerFigures& layer : figures) {
            const RowFigures& told = layer[row];
            const auto& scores = told.decided.size() == 1 ? told.decided[0] : told.decided.at(r);
            decided.insert(decided.end(), scores.begin(), scores.end());
            cached += told.cached[r];
            allowed += told.allowed[r];
        }
        thresholds.emplace(1.0 - retentions[r], threshold_for(std::move(decided), cached, allowed));
    }
    return thresholds;
}

} // namespace

double threshold_for(std::vector<DecidedScore> decided, double cached, double allowed) {
    std::ranges::sort(decided, {}, &DecidedScore::score);
    double left = cached;
    std::size_t i = 0;
    for (; i < decided.size() && decided[i].score == -infinity; ++i) left -= decided[i].weight; // those go by any
    while (i < decided.size() && left > allowed) {
        const double score = decided[i].score;
        for (; i < decided.size() && decided[i].score == score; ++i) left -= decided[i].weight;
    }
    if (i < decided.size()) return decided[i].score;
    return decided.empty() || decided.back().score == -infinity ? 0 : std::nextafter(decided.back().score, infinity);
}

std::vector<Scorer> match_on_train(const Suite& suite, std::span<const Scorer> scorers, const BenchOptions& options,
                                   ScorerFailures& failures) {
    std::vector<Scorer> matched(scorers.begin(), scorers.end()), recorded;
    std::vector<std::size_t> places;
    for (std::size_t s = 0; s < matched.size(); ++s) {
        if (!matched[s].unmatched()) continue;
        std::string why = refusal(matched[s], suite, options.protocol, options.shape);
        if (why.empty() && !options.keep.empty())
            why = "finds a threshold for each share of tokens to be kept, and none for numbers of them";
        if (why.empty()) why = schedule_refusal(matched[s], options.schedule);
        if (!why.empty()) throw UsageError(fmt::format("scorer '{}' {}", matched[s].label(), why));
        places.push_back(s);
        recorded.push_back(matched[s].with_thresholds(all_with(options.retentions, -infinity)));
    }
    if (recorded.empty()) return matched;
    const auto protocol =
        make_protocol(options.protocol, suite, recorded, options.retentions,
                      {.schedule = options.schedule, .only = Measure::attention_loss, .find_thresholds = true});
    ScorerFailures broken;
    protocol->create_instances(broken);
    const std::vector<LayerFigures> figures = train_figures(suite, *protocol, options, broken);
    protocol->end_instances(broken);
    for (std::size_t i = 0; i < places.size(); ++i) {
        const auto failure = broken.find(i);
        if (failure != broken.end()) failures.emplace(places[i], failure->second);
        matched[places[i]] = failure != broken.end()
                                 ? recorded[i]
                                 : matched[places[i]].with_thresholds(thresholds_of(figures, i, options.retentions));
    }
    return matched;
}

} // namespace evictlab
