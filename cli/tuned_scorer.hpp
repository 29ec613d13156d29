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
/// Makes the setup one that tunes the scorer: its start, its space and the plugins that it relies on, with the files of
/// those that are not built in as seen from the folder of `state_file`.
void tune_scorer(const std::string& scorer, PluginHost& host, const std::filesystem::path& state_file,
                 evolution::RunSetup& setup);
/// Loads such files of a saved run, for its scorer to be found by its id; whether they are the same the run's hashes
/// say. Throws UsageError where one is gone, or would run in this process because a file says so.
void load_tuned_plugins(const po::variables_map& values, const evolution::RunIdentity& saved,
                        const std::filesystem::path& state_file, PluginHost& host);
/// A candidate as a bench takes it; `space` is null where formulas are evolved.
Scorer scorer_of(const evolution::Candidate& candidate, const ParameterSpace* space);

} // namespace evictlab::cli
