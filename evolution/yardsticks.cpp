// SPDX-License-Identifier: MIT
#include "evolution/yardsticks.hpp"

#include <algorithm>
#include <functional>
#include <limits>

#include "evolution/search.hpp"
#include "framework/fitness/parameter_fitness.hpp"
#include "framework/formula/formula.hpp"
#include "framework/protocols/protocol.hpp"
#include "framework/scorers/published.hpp"

namespace evictlab::evolution {
namespace {

constexpr auto valid = static_cast<std::size_t>(SearchSplit::valid);

const ScorecardRow* oracle_of(const Bench& bench) {
    const auto found = std::ranges::find(bench.rows, oracle_name, &ScorecardRow::scorer);
    return found == bench.rows.end() ? nullptr : &*found;
}

/// As formulas, so that no plugin runs for it.
std::vector<Scorer> published_twins(const Suite& suite, const PluginHost& host) {
    std::vector<Scorer> scorers;
    for (const std::string& name : scorers_with_twins(host))
        if (is_published(name, protocol_info(usual_protocol(suite)).rules, host))
            scorers.push_back(Scorer::from_formula(name, formula::parse(*formula_twin(name, host))));
    return scorers;
}

Yardsticks absolute_yardsticks(const SearchSuites& search, const PluginHost& host, const ReferenceHooks& hooks) {
    const Bench bench = bench_for_search(search, 0, published_twins(search.suites.front(), host), hooks);
    Yardsticks found;
    const ScorecardRow *oracle = oracle_of(bench), *best = nullptr;
    for (const ScorecardRow& row : bench.rows)
        if (row.kind == RowKind::formula && (!best || row.splits[valid].average < best->splits[valid].average))
            best = &row;
    for (std::size_t s = 0; s < found.oracle.size(); ++s) {
        constexpr double none = std::numeric_limits<double>::quiet_NaN();
        found.oracle[s] = oracle ? oracle->splits[s].average : none;
        found.published[s] = best ? best->splits[s].average : none;
    }
    if (best) found.published_name = best->scorer;
    return found;
}

/// Mean over suites of the mean over retentions of the errors over the reference's; nothing where a suite has no such
/// row with all of its documents.
std::optional<double> error_of(const std::string& scorer, const SearchSuites& search, std::span<const Bench> benches,
                               std::vector<std::vector<double>>& by_document) {
    double error = 0;
    for (std::size_t b = 0; b < benches.size(); ++b) {
        const auto row = std::ranges::find(benches[b].rows, scorer, &ScorecardRow::scorer);
        const std::vector<double>& reference = search.references[b][valid];
        if (row == benches[b].rows.end() || row->splits[valid].by_trace.size() != benches[b].traces[valid].size())
            return std::nullopt;
        const auto errors = search_errors(row->splits[valid], benches[b].measure).by_retention;
        for (std::size_t r = 0; r < errors.size(); ++r)
            error += errors[r] / reference[r] / static_cast<double>(errors.size() * benches.size());
        for (std::vector<double> document : row->splits[valid].by_trace) {
            std::ranges::transform(document, reference, document.begin(), std::divides<>());
            by_document.push_back(std::move(document));
        }
    }
    return error;
}

/// The best published row on valid; none among benches of the oracle alone.
void note_rival(const SearchSuites& search, std::span<const Bench> benches, Yardsticks& found) {
    double best = std::numeric_limits<double>::infinity();
    for (const ScorecardRow& row : benches.front().rows) {
        if (row.kind == RowKind::bound || is_random(row.scorer)) continue;
        std::vector<std::vector<double>> by_document;
        const auto error = error_of(row.scorer, search, benches, by_document);
        if (!error || !(*error < best)) continue;
        best = *error;
        found.rival = row.scorer;
        found.rival_valid = std::move(by_document);
    }
}

} // namespace

Bench bench_for_search(const SearchSuites& search, std::size_t s, const std::vector<Scorer>& scorers,
                       const ReferenceHooks& hooks) {
    const Suite& suite = search.suites[s];
    BenchOptions options;
    options.retentions = search.retentions[s];
    options.measure = search.measures[s];
    options.shape = search.shape;
    options.keep = search.keep;
    options.for_search = true;
    options.stop = hooks.stop;
    if (hooks.progress) options.progress = [&](double done, double total) { hooks.progress(suite, done / total); };
    return run_bench(suite, scorers, options);
}

std::optional<double> gap_closed(const Yardsticks& yardsticks, SearchSplit split, double error) {
    const auto s = static_cast<std::size_t>(split);
    const double gap = yardsticks.published[s] - yardsticks.oracle[s];
    if (!(gap > 0)) return std::nullopt;
    return (yardsticks.published[s] - error) / gap;
}

Yardsticks relative_yardsticks(const SearchSuites& search, std::span<const Bench> benches) {
    Yardsticks found;
    found.published = {1, 1};
    for (const Bench& bench : benches) found.valid_documents.push_back(bench.traces[valid].size());
    note_rival(search, benches, found);
    for (std::size_t b = 0; b < benches.size(); ++b) {
        const ScorecardRow* const oracle = oracle_of(benches[b]);
        for (std::size_t s = 0; s < found.oracle.size(); ++s) {
            const auto& reference = search.references[b][s];
            double sum = 0;
            if (!oracle)
                sum = std::numeric_limits<double>::quiet_NaN();
            else {
                const auto errors = search_errors(oracle->splits[s], benches[b].measure).by_retention;
                for (std::size_t r = 0; r < errors.size(); ++r) sum += errors[r] / reference[r];
            }
            found.oracle[s] += sum / static_cast<double>(reference.size()) / static_cast<double>(benches.size());
        }
    }
    return found;
}

Yardsticks measure_yardsticks(const SearchSuites& search, const PluginHost& host, const ReferenceHooks& hooks) {
    if (!search.relative()) return absolute_yardsticks(search, host, hooks);
    std::vector<Bench> benches;
    for (std::size_t s = 0; s < search.suites.size(); ++s) benches.push_back(bench_for_search(search, s, {}, hooks));
    return relative_yardsticks(search, benches);
}

} // namespace evictlab::evolution
