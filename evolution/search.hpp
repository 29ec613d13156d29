// What a search is by: one suite or several, their measures and retentions, the published rows that errors are relative
// to, and the fitness that these make.
// SPDX-License-Identifier: MIT
#pragma once
#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "evolution/setup.hpp"
#include "evolution/yardsticks.hpp"
#include "framework/plugin/host.hpp"
#include "framework/suite/suite.hpp"

namespace evictlab::evolution {

/// The suites of a search with all that its fitness needs. The first one is the run's in reports.
struct SearchSuites {
    std::vector<Suite> suites;
    std::vector<std::string> measures;           ///< of each
    std::vector<std::vector<double>> retentions; ///< of each
    std::vector<ReferenceErrors> references;     ///< of each; empty where errors are not relative
    Shape shape{};                               ///< of all
    std::vector<std::size_t> keep{};             ///< of all: numbers of tokens, whose names the retentions are then
    std::optional<Yardsticks> yardsticks{};      ///< where measure_references() measured them
    /// Whether errors are relative to the best published row's: on captured suites, and where there are several.
    bool relative() const { return suites.size() > 1 || suites.front().captured(); }
    std::vector<double> all_retentions() const; ///< one suite's after another's, as a state has them
    /// The columns that new subtrees may read: those of the seed's benchmark, or of real attention as far as every
    /// suite gives them.
    std::vector<std::string> columns() const;
    /// Throws UsageError that says why, where a suite does not give the column.
    void check_gives(const std::string& column) const;
};

/// What somebody asked for; what is empty is usual, or a saved run's.
struct SearchRequest {
    std::vector<Suite> suites;
    std::string measure;
    std::vector<double> retentions;
    std::optional<Shape> shape{};
    std::vector<std::size_t> keep{}; ///< in place of retentions
};

/// Of a new run, on at least one suite; references are not measured yet. Throws UsageError for what cannot be searched
/// on.
SearchSuites new_search(SearchRequest request);
/// Of a saved run with its `retentions`, but for what was asked for; that it fits is for check_resumable to say.
SearchSuites resumed_search(SearchRequest request, const RunIdentity& saved, std::span<const double> retentions);

struct ReferenceHooks {
    const std::atomic<bool>* stop = nullptr; ///< set from outside: Interrupted is thrown soon after
    /// On any thread, one at a time; `fraction` of the rows of that suite in [0, 1]. May be empty.
    std::function<void(const Suite& suite, double fraction)> progress;
};

/// The published rows that errors are relative to: those with uniform budgets and one pass over the prompt, whatever
/// the search itself reads.
std::vector<Scorer> reference_scorers(PluginHost& host, const Suite& suite, const Shape& shape = {});
/// Measures these, and with them the yardsticks, on the train and valid splits (the test split stays sealed), where
/// errors are relative.
void measure_references(SearchSuites& search, PluginHost& host, const ReferenceHooks& hooks);

/// Into the identity that a state keeps.
void describe(const SearchSuites& search, RunSetup& setup);

/// Of formulas, or of the parameters of the scorer that the run tunes; refers to `search`, and to `stop`, by which a
/// plugin's bench is interrupted. Throws OptionError where the start needs what a suite does not give.
std::unique_ptr<Fitness> fitness_for(const SearchSuites& search, const RunConfig& config,
                                     const std::atomic<bool>* stop);

} // namespace evictlab::evolution
