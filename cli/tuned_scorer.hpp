// evolve --tune: the scorer whose plugin's parameters a run evolves.
// SPDX-License-Identifier: MIT
#pragma once
#include "cli/command.hpp"
#include "evolution/candidate.hpp"
#include "evolution/setup.hpp"
#include "framework/plugin/host.hpp"

namespace evictlab::cli {

/// --tune
void add_tune_option(po::options_description& options);
/// Throws UsageError where --tune is given with what is of formulas alone, or names nothing that can be tuned.
void check_tune_option(const po::variables_map& values, PluginHost& host);
/// Makes the setup one that tunes the scorer: its start, its space and the plugins that it relies on.
void tune_scorer(const std::string& scorer, PluginHost& host, evolution::RunSetup& setup);
/// A candidate as a bench takes it; `space` is null where formulas are evolved.
Scorer scorer_of(const evolution::Candidate& candidate, const ParameterSpace* space);

} // namespace evictlab::cli
