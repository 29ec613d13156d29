// What evolve searches by: one suite or several, their measures, and the published rows that errors are relative to.
// SPDX-License-Identifier: MIT
#pragma once
#include <memory>
#include <span>

#include "cli/shared_options.hpp"
#include "evolution/setup.hpp"
#include "framework/plugin/host.hpp"

namespace evictlab::cli {

/// --suite (which may be repeated) with its sizes, and --measure.
void add_search_suite_options(po::options_description& options);
std::string search_suite_options_text(const po::variables_map& values);

/// The suites of a search with all that its fitness needs. The first one is the run's in reports.
struct SearchSuites {
    std::vector<Suite> suites;
    std::vector<std::string> measures;           ///< of each
    std::vector<std::vector<double>> retentions; ///< of each
    std::vector<ReferenceErrors> references;     ///< of each; empty where errors are not relative
    /// Whether errors are relative to the best published row's: on captured suites, and where there are several.
    bool relative() const { return suites.size() > 1 || suites.front().captured(); }
    std::vector<double> all_retentions() const; ///< one suite's after another's, as a state has them
    /// The columns that new subtrees may read: those of the seed's benchmark, or of real attention as far as every
    /// suite gives them.
    std::vector<std::string> columns() const;
};

/// From the options; wrong use is told. References are not measured yet.
SearchSuites search_suites_from(const po::variables_map& values);
/// Those of a saved run with its `retentions`, but for what was typed; that it fits is for check_resumable to say.
SearchSuites resumed_search_suites(const po::variables_map& values, const evolution::RunIdentity& identity,
                                   std::span<const double> retentions);
/// Measures the published rows on the train and valid splits (the test split stays sealed), with a progress bar.
void measure_references(SearchSuites& search, PluginHost& host);
/// Into the identity that a state keeps.
void describe(const SearchSuites& search, evolution::RunIdentity& identity);

/// Of formulas, or of the parameters of the scorer that the run tunes. Throws UsageError where the start needs what a
/// suite does not give.
std::unique_ptr<Fitness> fitness_for(const SearchSuites& search, const evolution::RunConfig& config);

} // namespace evictlab::cli
