// The plugin host: finds scorer libraries and holds the plugins that they are, checked against the contract
// (evictlab/scorer.h).
// SPDX-License-Identifier: MIT
#pragma once
#include <functional>

#include "framework/plugin/plugin.hpp"

namespace evictlab {

/// All plugins of the search path: the build's or installation's own folder, whose scorers no other plugin takes the
/// place of; `--plugin-dir` folders in order; EVICTLAB_PLUGIN_PATH (':'-separated). Of two with one id the first is
/// used, and an id that means something else where scorers are named is none's. What cannot be used, file or folder,
/// does not stop the others: its error is kept in problems(). Not thread-safe while load() is called.
class PluginHost {
public:
    /// How a library is loaded: Plugin::load, or another way to make a Plugin of a file. Throws PluginError.
    using Loader = std::function<std::shared_ptr<const Plugin>(const std::filesystem::path& file)>;
    explicit PluginHost(std::span<const std::filesystem::path> plugin_dirs = {}, Loader loader = Plugin::load);
    std::span<const std::shared_ptr<const Plugin>> plugins() const { return plugins_; } ///< sorted by id
    std::span<const PluginError> problems() const { return problems_; }
    /// Null where no plugin has that id.
    std::shared_ptr<const Plugin> find(std::string_view id) const;
    /// Loads one more library by path (or gives the one already loaded from there). Throws PluginError, also for an id
    /// that another file has taken, or that no plugin can have.
    std::shared_ptr<const Plugin> load(const std::filesystem::path& file);
    /// The folders that were searched, in order.
    std::span<const std::filesystem::path> folders() const { return folders_; }

private:
    void search(const std::filesystem::path& folder);
    std::shared_ptr<const Plugin> loaded_from(const std::filesystem::path& file) const;
    void add(std::shared_ptr<const Plugin> plugin);

    Loader loader_;
    std::vector<std::filesystem::path> folders_;
    std::vector<std::shared_ptr<const Plugin>> plugins_;
    std::vector<PluginError> problems_;
};

/// Where the program's own plugins lie, from the place of its file, or of libevictlab's (so an installation can be
/// moved):
/// ../lib/evictlab/plugins in an installation, ../plugins in a build.
std::filesystem::path builtin_plugin_folder();

} // namespace evictlab
