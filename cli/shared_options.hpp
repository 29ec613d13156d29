// Options that several commands share: which suite, where plugins are, how many threads.
// SPDX-License-Identifier: MIT
#pragma once
#include <vector>

#include "cli/command.hpp"
#include "framework/evaluation/scorer.hpp"
#include "framework/suite/suite.hpp"

namespace evictlab::cli {

void add_suite_options(po::options_description& options);
/// Throws UsageError where --suite is missing or does not fit the sizes.
Suite suite_from(const po::variables_map& values);
/// The suite options as one would type them again.
std::string suite_options_text(const po::variables_map& values);

void add_plugin_options(po::options_description& options);
/// Prints a line for each plugin that cannot be used.
PluginHost host_from(const po::variables_map& values);

void add_run_options(po::options_description& options); ///< --retention, --threads
std::vector<double> retentions_from(const po::variables_map& values);
int threads_from(const po::variables_map& values);

/// Quoted for a shell where that is needed.
std::string shell_word(const std::string& word);

} // namespace evictlab::cli
