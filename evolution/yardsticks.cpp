// SPDX-License-Identifier: MIT
#include "evolution/yardsticks.hpp"

#include <algorithm>
#include <functional>
#include <limits>
#include <numeric>

#include "evolution/search.hpp"
#include "framework/fitness/parameter_fitness.hpp"
#include "framework/formula/formula.hpp"
#include "framework/protocols/protocol.hpp"
#include "framework/scorers/published.hpp"

namespace evictlab::evolution {
namespace {

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
    constexpr auto valid = static_cast<std::size_t>(SearchSplit::valid);
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

double mean_of(std::span<const double> values) {
    return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

/// The best published row on valid by the mean of its documents' errors over the reference's; none among benches of the
/// oracle alone.
void note_rival(const Bench& bench, const ReferenceErrors& reference, Yardsticks& found) {
    constexpr auto valid = static_cast<std::size_t>(SearchSplit::valid);
    for (const ScorecardRow& row : bench.rows) {
        if (row.kind == RowKind::bound || is_random(row.scorer)) continue;
        std::vector<double> errors;
        for (std::vector<double> document : row.splits[valid].by_trace) {
            std::ranges::transform(document, reference[valid], document.begin(), std::divides<>());
            errors.push_back(mean_of(document));
        }
        const bool better = found.rival.empty() || (!errors.empty() && mean_of(errors) < mean_of(found.rival_valid));
        if (!errors.empty() && better) {
            found.rival = row.scorer;
            found.rival_valid = std::move(errors);
        }
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
    if (benches.size() == 1 && benches.front().measure != to_string(Measure::predicted_kl))
        note_rival(benches.front(), search.references.front(), found);
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
