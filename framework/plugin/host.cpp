// Finding plugins: the folders, their libraries, and one plugin for each id.
// SPDX-License-Identifier: MIT
#include "framework/plugin/host.hpp"

#include <fmt/ranges.h>

#include <algorithm>
#include <cstdlib>

#include "base/process/own_file.hpp"

namespace evictlab {

namespace fs = std::filesystem;

namespace {

std::vector<fs::path> folders_of_environment() {
    std::vector<fs::path> folders;
    const char* value = std::getenv("EVICTLAB_PLUGIN_PATH");
    std::string_view rest = value ? value : "";
    while (!rest.empty()) {
        const auto colon = rest.find(':');
        if (const auto folder = rest.substr(0, colon); !folder.empty()) folders.emplace_back(folder);
        rest.remove_prefix(colon == std::string_view::npos ? rest.size() : colon + 1);
    }
    return folders;
}

constexpr std::string_view reserved_ids[] = {"all", "bound", "champion", "oracle"};

bool same_file(const fs::path& a, const fs::path& b) {
    std::error_code error;
    return a == b || fs::equivalent(a, b, error);
}

std::vector<fs::path> libraries_in(const fs::path& folder) {
    std::vector<fs::path> files;
    for (const auto& entry : fs::directory_iterator(folder))
        if (entry.path().extension() == ".so") files.push_back(entry.path());
    std::ranges::sort(files);
    return files;
}

} // namespace

fs::path builtin_plugin_folder() {
    const fs::path prefix = own_file().parent_path().parent_path();
    const fs::path installed = prefix / "lib" / "evictlab" / "plugins";
    std::error_code error;
    return fs::is_directory(installed, error) ? installed : prefix / "plugins";
}

PluginHost::PluginHost(std::span<const fs::path> plugin_dirs, Loader loader) : loader_(std::move(loader)) {
    search(builtin_plugin_folder());
    for (const auto& folder : plugin_dirs) search(folder);
    for (const auto& folder : folders_of_environment()) search(folder);
}

void PluginHost::search(const fs::path& folder) {
    if (std::ranges::any_of(folders_, [&](const fs::path& known) { return same_file(known, folder); })) return;
    folders_.push_back(folder);
    try {
        for (const auto& file : libraries_in(folder)) {
            try {
                if (!loaded_from(file)) add(loader_(file));
            } catch (const PluginError& error) {
                problems_.push_back(error);
            }
        }
    } catch (const fs::filesystem_error& error) {
        problems_.emplace_back(folder.string(), "find",
                               fmt::format("the folder cannot be read: {}", error.code().message()));
    }
}

void PluginHost::add(std::shared_ptr<const Plugin> plugin) {
    if (std::ranges::count(reserved_ids, plugin->id()) > 0)
        throw PluginError(plugin->label(), "find",
                          fmt::format("no plugin can have the id '{}', which means something else where scorers are "
                                      "named ({}); give it another id",
                                      plugin->id(), fmt::join(reserved_ids, ", ")));
    if (const auto first = find(plugin->id()))
        throw PluginError(plugin->label(), "find",
                          fmt::format("the id '{}' is taken by {}, which comes first and is used; give one of the two "
                                      "another id or remove it",
                                      first->id(), first->file().string()));
    const auto at = std::ranges::upper_bound(plugins_, plugin->id(), {}, [](const auto& p) { return p->id(); });
    plugins_.insert(at, std::move(plugin));
}

std::shared_ptr<const Plugin> PluginHost::loaded_from(const fs::path& file) const {
    for (const auto& plugin : plugins_)
        if (same_file(plugin->file(), file)) return plugin;
    return nullptr;
}

std::shared_ptr<const Plugin> PluginHost::find(std::string_view id) const {
    const auto at =
        std::ranges::find(plugins_, id, [](const auto& plugin) -> std::string_view { return plugin->id(); });
    return at == plugins_.end() ? nullptr : *at;
}

std::shared_ptr<const Plugin> PluginHost::load(const fs::path& file) {
    if (auto known = loaded_from(file)) return known;
    auto plugin = loader_(file);
    add(plugin);
    return plugin;
}

} // namespace evictlab
