// What a run's figures stand between: the bound that no scorer can pass, and the published row that is to be beaten.
// SPDX-License-Identifier: MIT
#pragma once
#include <array>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "framework/bench/scorecard.hpp"
#include "framework/plugin/host.hpp"

namespace evictlab::evolution {

struct SearchSuites;
struct ReferenceHooks;

/// What a search is compared with on one of its suites: at its retentions, measure and shape, without the test split.
/// Throws as run_bench() does.
Bench bench_for_search(const SearchSuites& search, std::size_t suite, const std::vector<Scorer>& scorers,
                       const ReferenceHooks& hooks);

/// In the unit of the run's errors; lower is better.
struct Yardsticks {
    std::array<double, 2> oracle{}, published{}; ///< by SearchSplit
    /// The best published row on valid; "" where errors are relative to the best ones, so that theirs are 1.
    std::string published_name{};
    std::string rival{}; ///< of relative errors: the published row that is best on valid
    /// Its errors on valid, by document, suite after suite, and retention, as FormulaErrors has them; or empty.
    std::vector<std::vector<double>> rival_valid{};
    std::vector<std::size_t> valid_documents{}; ///< of each suite; empty where nobody knows
};

/// Share of the way from the best published row to the oracle; nothing where the oracle is not ahead of it.
std::optional<double> gap_closed(const Yardsticks& yardsticks, SearchSplit split, double error);

/// The oracle's errors over the reference's, as RelativeFitness has them: mean over suites of the mean over retentions.
/// `benches`: one of each suite, for searches.
Yardsticks relative_yardsticks(const SearchSuites& search, std::span<const Bench> benches);

/// Measures them on train and valid, the test split stays sealed: of errors that are not relative, the published rules
/// that have a formula. Throws as run_bench() does.
Yardsticks measure_yardsticks(const SearchSuites& search, const PluginHost& host, const ReferenceHooks& hooks);

} // namespace evictlab::evolution
