// The options of evolve that evolution/search_options.hpp declares, as flags.
// SPDX-License-Identifier: MIT
#pragma once
#include <string>

#include "cli/command.hpp"
#include "evolution/search_options.hpp"

namespace evictlab::cli {

/// The flag of an option by its key, without "--": max_nodes is max-nodes.
std::string flag_of(std::string_view option);

/// Each with those that need the same process.
void add_search_options(po::options_description& options, evolution::OptionNeeds needs);
/// What was typed goes into the config; the rest of it stays. Throws OptionError.
void read_search_options(const po::variables_map& values, evolution::RunConfig& config, evolution::OptionNeeds needs);
/// What was typed, as one would type it again.
std::string search_options_text(const po::variables_map& values, evolution::OptionNeeds needs);

} // namespace evictlab::cli
