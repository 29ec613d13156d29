// The options that say what the formulas of a search may read. SPDX-License-Identifier: MIT
#pragma once
#include <string>

#include "cli/command.hpp"
#include "evolution/column_choice.hpp"

namespace evictlab::cli {

/// --columns, --without, --exportable.
void add_column_options(po::options_description& options);
/// Those given, as one would type them again.
std::string column_options_text(const po::variables_map& values);
/// What is typed takes the place of what the config has; without it a run that was told what it may read keeps that.
void read_columns(const po::variables_map& values, const evolution::SearchSuites& search, evolution::RunConfig& config);

} // namespace evictlab::cli
