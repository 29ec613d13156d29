// SPDX-License-Identifier: MIT
#include "cli/plugin_options.hpp"
#include "cli/output.hpp"

#include <fmt/format.h>

#include <utility>

#include "base/process/own_file.hpp"
#include "cli/interrupt.hpp"
#include "cli/shared_options.hpp"
#include "isolation/isolated_plugin.hpp"

namespace evictlab::cli {
namespace {

namespace fs = std::filesystem;

enum class Isolated : std::uint8_t { none, not_built_in, all };

Isolated isolated_from(const po::variables_map& values, IsolatedByDefault by_default) {
    const bool on = values.contains("isolate"), off = values.contains("no-isolate");
    if (on && off) throw UsageError("--isolate and --no-isolate are both given: leave one away");
    if (off) return Isolated::none;
    return on || by_default == IsolatedByDefault::all ? Isolated::all : Isolated::not_built_in;
}

bool is_built_in(const fs::path& file) {
    std::error_code error;
    return fs::equivalent(fs::absolute(file).parent_path(), builtin_plugin_folder(), error);
}

/// Once in a program.
void tell_missing(const isolation::WorkerPool& pool) {
    static bool told = false;
    const std::string missing = isolation::names_of_layers(pool.missing());
    if (missing.empty() || std::exchange(told, true)) return;
    complain(
        fmt::format("plugins are held by less than could be: without {} here; docs/reliability.md says what they can "
                    "reach then",
                    missing));
}

PluginHost::Loader loader_from(const po::variables_map& values, IsolatedByDefault by_default) {
    const Isolated isolated = isolated_from(values, by_default);
    if (isolated == Isolated::none) return Plugin::load;
    std::shared_ptr<isolation::WorkerPool> pool; // takes address space, so it is made for the first that needs it
    return [isolated, settings = worker_settings_from(values), pool](const fs::path& file) mutable {
        if (isolated == Isolated::not_built_in && is_built_in(file)) return Plugin::load(file);
        if (!pool) pool = std::make_shared<isolation::WorkerPool>(settings);
        auto plugin = isolation::load_isolated(file, pool);
        if (!is_built_in(file)) tell_missing(*pool);
        return plugin;
    };
}

PluginHost host_with(const po::variables_map& values, PluginHost::Loader loader) {
    std::vector<fs::path> folders;
    if (values.contains("plugin-dir"))
        for (const std::string& folder : values["plugin-dir"].as<std::vector<std::string>>()) {
            if (!fs::is_directory(folder)) throw UsageError(fmt::format("--plugin-dir '{}' is not a folder", folder));
            folders.emplace_back(folder);
        }
    PluginHost host(folders, std::move(loader));
    for (const PluginError& problem : host.problems()) complain(problem.what());
    return host;
}

} // namespace

void add_plugin_folders(po::options_description& options) {
    options.add_options()("plugin-dir", po::value<std::vector<std::string>>()->composing()->value_name("DIR"),
                          "also look for plugins here, first (may be repeated; so does EVICTLAB_PLUGIN_PATH)");
}

void add_worker_options(po::options_description& options) {
    options.add_options()("plugin-timeout", po::value<std::string>()->value_name("S"),
                          "seconds that a call into an isolated plugin may take (10)");
    options.add_options()("plugin-memory", po::value<std::string>()->value_name("MIB"),
                          "memory that an isolated plugin's process may have (2048)");
}

void add_plugin_options(po::options_description& options, IsolatedByDefault by_default) {
    add_plugin_folders(options);
    options.add_options()("isolate", by_default == IsolatedByDefault::all
                                         ? "run plugins in processes of their own (default)"
                                         : "run all plugins in processes of their own (default: all but the built-in "
                                           "ones)");
    options.add_options()("no-isolate", "run all plugins in this process: faster, and what breaks one breaks all");
    add_worker_options(options);
}

isolation::Settings worker_settings_from(const po::variables_map& values) {
    isolation::Settings settings;
    constexpr const char *seconds = "a number of seconds above 0", *mebibytes = "a number of MiB from 16 to 1048576";
    read_number<double>(values, "plugin-timeout", seconds, settings.limits.timeout);
    read_number<std::size_t>(values, "plugin-memory", mebibytes, settings.limits.memory);
    if (!(settings.limits.timeout > 0 && settings.limits.timeout <= 1e6))
        throw UsageError(fmt::format("--plugin-timeout {} must be {}", settings.limits.timeout, seconds));
    if (settings.limits.memory < 16 || settings.limits.memory > 1048576)
        throw UsageError(fmt::format("--plugin-memory {} must be {}", settings.limits.memory, mebibytes));
    settings.program = own_file().parent_path() / "evictlab-worker";
    settings.stop = &interrupted();
    return settings;
}

PluginHost host_from(const po::variables_map& values, IsolatedByDefault by_default) {
    return host_with(values, loader_from(values, by_default));
}

PluginHost isolated_host_from(const po::variables_map& values, std::shared_ptr<isolation::WorkerPool> pool) {
    return host_with(values,
                     [pool = std::move(pool)](const fs::path& file) { return isolation::load_isolated(file, pool); });
}

} // namespace evictlab::cli
