// Options about plugins: where they are, and which of them run in processes of their own.
// SPDX-License-Identifier: MIT
#pragma once
#include "cli/command.hpp"
#include "framework/plugin/host.hpp"

namespace evictlab::cli {

/// Which plugins are isolated where neither --isolate nor --no-isolate is given.
enum class IsolatedByDefault : std::uint8_t { not_built_in, all };

/// --plugin-dir, --isolate, --no-isolate, --plugin-timeout, --plugin-memory
void add_plugin_options(po::options_description& options, IsolatedByDefault by_default);
/// Prints a line for each plugin that cannot be used.
PluginHost host_from(const po::variables_map& values, IsolatedByDefault by_default);

} // namespace evictlab::cli
