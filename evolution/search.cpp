// SPDX-License-Identifier: MIT
#include "evolution/search.hpp"
#include "evolution/shared_search.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <limits>

#include "base/option_error.hpp"
#include "framework/bench/scorecard.hpp"
#include "framework/capture/captured_trace.hpp"
#include "framework/capture/suites.hpp"
#include "framework/cut/budget.hpp"
#include "framework/fitness/formula_fitness.hpp"
#include "framework/fitness/parameter_fitness.hpp"
#include "framework/fitness/relative_fitness.hpp"
#include "framework/protocols/all_that_run.hpp"
#include "framework/protocols/protocol.hpp"
#include "framework/scorers/published.hpp"

namespace evictlab::evolution {
namespace {

/// "" asks for the suite's usual one.
std::string measure_of(const Suite& suite, const std::string& asked, bool alone) {
    std::vector<std::string> known;
    for (const Measure measure : make_protocol(usual_protocol(suite), suite, {}, {})->measures())
        known.emplace_back(to_string(measure));
    if (asked.empty()) return known.front();
    if (std::ranges::find(known, asked) != known.end()) return asked;
    if (!alone && !suite.captured()) return known.front();
    throw UsageError(fmt::format("suite '{}' has no measure '{}' by protocol {}; there is {}", suite.name(), asked,
                                 usual_protocol(suite), fmt::join(known, ", ")));
}

/// Of published rows.
ReferenceErrors best_of(const Bench& bench) {
    constexpr double none = std::numeric_limits<double>::infinity();
    ReferenceErrors best;
    for (auto& split : best) split.assign(bench.retentions.size(), none);
    for (const ScorecardRow& row : bench.rows) {
        if (row.kind != RowKind::plugin || row.uneven_budgets) continue;
        for (std::size_t s = 0; s < best.size(); ++s) {
            const auto errors = search_errors(row.splits[s], bench.measure).by_retention;
            for (std::size_t r = 0; r < errors.size(); ++r) best[s][r] = std::min(best[s][r], errors[r]);
        }
    }
    if (best[0].front() == none)
        throw Error(fmt::format("no published scorer could be measured on suite '{}', so there is nothing to compare "
                                "errors with; are the plugins there? (evictlab plugins)",
                                bench.suite));
    return best;
}

/// All that formulas of the run may read.
std::vector<ColumnId> columns_in_memory(const SearchSuites& search, const RunConfig& config) {
    std::vector<ColumnId> columns = config.readable();
    if (search.relative() && !config.columns_only)
        std::ranges::copy(columns::of_the_seed(), std::back_inserter(columns)); // opening strategies read them
    return columns;
}

/// How formulas of the run are measured on one of its suites.
FormulaMeasuring measuring_on(const SearchSuites& search, std::size_t s, const RunConfig& config) {
    return {.measure = evictlab::measure_of(search.measures[s]).value_or(Measure::attention_loss),
            .retentions = search.retentions[s],
            .columns = columns_in_memory(search, config),
            .query_stride = config.query_stride,
            .shape = search.shape,
            .keep = search.keep};
}

/// What a search on the suite is at. The test split stays sealed, so that numbers have their names by the others.
std::vector<double> retentions_on(const Suite& suite, const SearchRequest& request) {
    if (request.keep.empty())
        return request.retentions.empty() ? usual_retentions(usual_protocol(suite)) : request.retentions;
    std::vector<std::size_t> prompts;
    const SearchTraces traces = suite.search_traces();
    for (const auto& from : {traces.train, traces.valid})
        for (const TracePtr& trace : from) prompts.push_back(trace->captured()->prompt_len());
    return mean_shares(request.keep, prompts);
}

/// Why the suite does not give the column, or "".
std::string not_given(const Suite& suite, const std::string& column) {
    const Scorer reader = Scorer::from_formula(column, formula::parse(column));
    return refusal(reader, suite, usual_protocol(suite));
}

} // namespace

SearchSuites new_search(SearchRequest request) {
    SearchSuites search;
    search.suites = std::move(request.suites);
    search.shape = request.shape.value_or(Shape{});
    search.keep = request.keep;
    for (const Suite& suite : search.suites) {
        check_shape(usual_protocol(suite), search.shape, !search.keep.empty());
        if (suite.size(Split::train) == 0 || suite.size(Split::valid) == 0)
            throw UsageError(fmt::format("suite '{}' has no documents to search on: it needs a train and a valid split",
                                         suite.name()));
        search.measures.push_back(measure_of(suite, request.measure, search.suites.size() == 1));
        search.retentions.push_back(retentions_on(suite, request));
    }
    return search;
}

SearchSuites resumed_search(SearchRequest request, const RunIdentity& identity, std::span<const double> retentions) {
    std::vector<SearchedSuite> saved{
        {identity.suite, identity.suite_hash, identity.suite_parameters_json, identity.measure, identity.reference}};
    std::ranges::copy(identity.more_suites, std::back_inserter(saved));
    SearchSuites search;
    search.suites = std::move(request.suites);
    search.shape = request.shape.value_or(identity.shape);
    search.keep = request.keep.empty() && request.retentions.empty() ? identity.keep : request.keep;
    if (search.suites.empty())
        for (const auto& suite : saved) search.suites.push_back(make_suite_from_parameters(suite.parameters_json));
    saved.resize(search.suites.size());
    std::size_t first = 0; // the state has all suites' retentions one after another
    for (std::size_t s = 0; s < saved.size(); ++s) {
        const SearchedSuite& known = saved[s];
        search.measures.push_back(
            measure_of(search.suites[s], request.measure.empty() ? known.measure : request.measure, saved.size() == 1));
        search.references.push_back(known.reference);
        const std::size_t left = retentions.size() - first;
        const auto own =
            retentions.subspan(first, known.reference[0].empty() ? left : std::min(left, known.reference[0].size()));
        search.retentions.push_back(request.retentions.empty() ? std::vector<double>(own.begin(), own.end())
                                                               : request.retentions);
        first += own.size();
    }
    return search;
}

std::vector<Scorer> reference_scorers(PluginHost& host, const Suite& suite, const Shape& shape) {
    std::vector<Scorer> scorers = all_that_run(host, suite, usual_protocol(suite), shape);
    std::erase_if(scorers, [&](const Scorer& scorer) {
        return scorer.allocates() || class_of(scorer).passes > 1 ||
               !is_published(scorer.label(), protocol_info(usual_protocol(suite)).rules, host);
    });
    return scorers;
}

void measure_references(SearchSuites& search, PluginHost& host, const ReferenceHooks& hooks) {
    search.references.clear();
    std::vector<Bench> benches;
    for (std::size_t s = 0; s < search.suites.size(); ++s) {
        if (!search.relative()) {
            search.references.emplace_back();
            continue;
        }
        const std::vector<Scorer> scorers = reference_scorers(host, search.suites[s], search.shape);
        benches.push_back(bench_for_search(search, s, scorers, hooks));
        throw_if_hindered(benches.back()); // or the run would begin from other figures than it does elsewhere
        search.references.push_back(best_of(benches.back()));
    }
    if (search.relative()) search.yardsticks = relative_yardsticks(search, benches);
}

void describe(const SearchSuites& search, RunSetup& setup) {
    RunIdentity& identity = setup.identity;
    const bool calibrated = setup.config.reads_calibration(), twice = setup.config.reads_second_pass();
    const auto calibration_of = [calibrated](const Suite& suite) {
        return calibrated && suite.calibration() ? "sha256:" + suite.calibration()->sha256 : "";
    };
    const auto second_passes_of = [twice](const Suite& suite) { return twice ? suite.reconstruction() : ""; };
    const Suite& first = search.suites.front();
    identity.suite = first.name();
    identity.suite_hash = first.hash();
    identity.suite_parameters_json = first.parameters_json();
    identity.measure = search.measures.front();
    identity.shape = search.shape;
    identity.keep = search.keep;
    identity.reference = search.references.front();
    identity.calibration = calibration_of(first);
    identity.reconstruction = second_passes_of(first);
    identity.more_suites.clear();
    for (std::size_t s = 1; s < search.suites.size(); ++s) {
        const Suite& suite = search.suites[s];
        identity.more_suites.push_back({suite.name(), suite.hash(), suite.parameters_json(), search.measures[s],
                                        search.references[s], calibration_of(suite), second_passes_of(suite)});
    }
}

std::vector<double> SearchSuites::all_retentions() const {
    std::vector<double> all;
    for (const auto& own : retentions) std::ranges::copy(own, std::back_inserter(all));
    return all;
}

std::vector<std::string> SearchSuites::columns() const {
    if (!relative()) return RunConfig{}.columns;
    std::vector<std::string> columns = captured_columns;
    for (const Suite& suite : suites)
        std::erase_if(columns, [&](const std::string& column) { return !not_given(suite, column).empty(); });
    return columns;
}

std::unique_ptr<FitnessWorkers> fitness_workers_for(const SearchSuites& search, const RunConfig& config,
                                                    FitnessWorkerOptions options) {
    std::size_t documents = 0;
    std::vector<FormulaMeasuring> measuring;
    for (std::size_t s = 0; s < search.suites.size(); ++s) {
        const SearchTraces traces = search.suites[s].search_traces();
        documents = std::max({documents, traces.train.size(), traces.valid.size()});
        measuring.push_back(measuring_on(search, s, config));
    }
    if (config.space)
        throw OptionError("fitness_workers", "are for evolving formulas: a plugin's parameters are measured in one "
                                             "process");
    if (options.commands.size() > documents)
        throw OptionError("fitness_workers", fmt::format("are {}, but no split has more than {} documents to deal out",
                                                         options.commands.size(), documents));
    return std::make_unique<FitnessWorkers>(std::move(options), search.suites, measuring);
}

void SearchSuites::check_gives(const std::string& column) const {
    for (const Suite& suite : suites)
        if (const std::string why = not_given(suite, column); !why.empty())
            throw UsageError(fmt::format("the column {} {} (suite '{}')", column, why, suite.name()));
}

std::unique_ptr<Fitness> fitness_for(const SearchSuites& search, const RunConfig& config,
                                     const std::atomic<bool>* stop) {
    return fitness_for(search, config, stop, nullptr);
}

std::unique_ptr<Fitness> fitness_for(const SearchSuites& search, const RunConfig& config, const std::atomic<bool>* stop,
                                     const FitnessWorkers* workers) {
    const ParameterSpace* const space = config.space.get();
    const Scorer start =
        space ? space->scorer(space->start()) : Scorer::from_formula("the start formula", config.start_formula);
    std::vector<FitnessPart> parts;
    for (std::size_t s = 0; s < search.suites.size(); ++s) {
        const Suite& suite = search.suites[s];
        if (const std::string why = refusal(start, suite, usual_protocol(suite), search.shape); !why.empty())
            throw OptionError(space ? "tune" : "start",
                              fmt::format("'{}' {} (suite '{}')", config.start, why, suite.name()));
        std::unique_ptr<Fitness> fitness;
        if (space)
            fitness = std::make_unique<ParameterFitness>(suite, *space, search.retentions[s], search.measures[s], stop,
                                                         search.shape, search.keep);
        else
            fitness = formula_fitness(suite, measuring_on(search, s, config),
                                      {std::nullopt, workers ? workers->units_of(s) : nullptr});
        if (!search.relative()) return fitness;
        parts.push_back({suite.name(), std::move(fitness), search.references[s]});
    }
    return std::make_unique<RelativeFitness>(std::move(parts));
}

} // namespace evictlab::evolution
