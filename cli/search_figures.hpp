// What a search is measured against before it begins, and what is said of it when it has ended.
// SPDX-License-Identifier: MIT
#pragma once
#include <string>

#include "evolution/run.hpp"
#include "evolution/search.hpp"
#include "report/run_standing.hpp"

namespace evictlab::cli {

/// With a bar for each suite.
void measure_references(evolution::SearchSuites& search, PluginHost& host);
/// Where the references did not bring them along.
void measure_yardsticks(evolution::SearchSuites& search, const PluginHost& host);

/// All but the errors of start and champion.
report::Standing standing_in(const evolution::SearchSuites& search, const evolution::RunConfig& config);

/// The message of a run that has stopped. Of the splits that the search saw: test is opened by a report.
void print_outcome(const evolution::SearchSuites& search, const evolution::RunResult& result,
                   const evolution::RunConfig& config, const std::string& state_file);

} // namespace evictlab::cli
