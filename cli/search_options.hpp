// The options of evolve that say how a run varies and selects.
// SPDX-License-Identifier: MIT
#pragma once
#include <string>

#include "cli/command.hpp"
#include "evolution/setup.hpp"

namespace evictlab::cli {

void add_search_options(po::options_description& options);
/// What was typed goes into the config; the rest of it stays. Throws UsageError.
void read_search_options(const po::variables_map& values, evolution::RunConfig& config);
/// What was typed, as one would type it again.
std::string search_options_text(const po::variables_map& values);

} // namespace evictlab::cli
