// What a search is measured against before it begins, and what is said of it when it has ended.
// SPDX-License-Identifier: MIT
#pragma once
#include <optional>
#include <string>

#include "evolution/run.hpp"
#include "evolution/search.hpp"
#include "report/run_standing.hpp"

namespace evictlab::cli {

/// With a bar for each suite.
void measure_references(evolution::SearchSuites& search, PluginHost& host);
/// Where the references did not bring them along.
void measure_yardsticks(evolution::SearchSuites& search, const PluginHost& host);

/// Beside the state, for `evictlab status`; where they cannot be written a warning says so, and the run goes on.
void keep_yardsticks(const evolution::SearchSuites& search, const evolution::RunSetup& setup,
                     const std::string& state_file);

/// All but the errors of start and champion.
report::Standing standing_in(const evolution::SearchSuites& search, const evolution::RunConfig& config);

/// The message of a run that has stopped, in lines of at most `width` columns where that is given. Of the splits that
/// the search saw: test is opened by a report.
void print_outcome(const evolution::SearchSuites& search, const evolution::RunResult& result,
                   const evolution::RunConfig& config, const std::string& state_file, std::optional<std::size_t> width);

} // namespace evictlab::cli
