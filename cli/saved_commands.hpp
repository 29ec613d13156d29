// The commands that a saved run names, before --resume runs them.
// SPDX-License-Identifier: MIT
#pragma once
#include <filesystem>

#include "cli/command.hpp"
#include "evolution/setup.hpp"

namespace evictlab::cli {

/// --trust-commands
void add_trust_option(po::options_description& options);
/// Shows on standard error those that were not typed now. Throws UsageError where one of them may be somebody else's:
/// the state belongs to another user, or nothing says that this user typed it for a run in that folder.
void check_saved_commands(const po::variables_map& values, const evolution::RunIdentity& saved,
                          const std::filesystem::path& state_file);
/// What this invocation runs may be resumed without being typed again. Says where that cannot be remembered.
void remember_commands(const evolution::RunSetup& setup, const std::filesystem::path& state_file);

} // namespace evictlab::cli
