// The options of evolve that say what is searched on, and those that evolution/search_options.hpp declares, as flags.
// SPDX-License-Identifier: MIT
#pragma once
#include <string>

#include "cli/command.hpp"
#include "evolution/search.hpp"
#include "evolution/search_options.hpp"

namespace evictlab::cli {

/// --suite (which may be repeated) with its sizes, and --measure.
void add_search_suite_options(po::options_description& options);
std::string search_suite_options_text(const po::variables_map& values);
/// What was typed of these, and of --retention. Throws UsageError, also where no suite is named though sizes are, or,
/// for a `new_run`, at all.
evolution::SearchRequest search_request_from(const po::variables_map& values, bool new_run);

/// --generations and the other limits.
void add_limit_options(po::options_description& options);
void read_limits(const po::variables_map& values, evolution::RunLimits& limits);

/// The flag of an option by its key, without "--": max_nodes is max-nodes.
std::string flag_of(std::string_view option);

/// Each with those that need the same process.
void add_search_options(po::options_description& options, evolution::OptionNeeds needs);
/// What was typed goes into the config; the rest of it stays. Throws OptionError.
void read_search_options(const po::variables_map& values, evolution::RunConfig& config, evolution::OptionNeeds needs);
/// What was typed, as one would type it again.
std::string search_options_text(const po::variables_map& values, evolution::OptionNeeds needs);

} // namespace evictlab::cli
