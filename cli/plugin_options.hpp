// Options about plugins: where they are, and which of them run in processes of their own.
// SPDX-License-Identifier: MIT
#pragma once
#include "cli/command.hpp"
#include "framework/plugin/host.hpp"
#include "isolation/isolated_plugin.hpp"

namespace evictlab::cli {

/// Which plugins are isolated where neither --isolate nor --no-isolate is given.
enum class IsolatedByDefault : std::uint8_t { not_built_in, all };

/// --plugin-dir
void add_plugin_folders(po::options_description& options);
/// --plugin-timeout, --plugin-memory
void add_worker_options(po::options_description& options);
isolation::Settings worker_settings_from(const po::variables_map& values);

/// --plugin-dir, --isolate, --no-isolate, --plugin-timeout, --plugin-memory
void add_plugin_options(po::options_description& options, IsolatedByDefault by_default);
/// Prints a line for each plugin that cannot be used.
PluginHost host_from(const po::variables_map& values, IsolatedByDefault by_default);
/// The same, with every plugin in processes of its own, which are the pool's.
PluginHost isolated_host_from(const po::variables_map& values, std::shared_ptr<isolation::WorkerPool> pool);

} // namespace evictlab::cli
