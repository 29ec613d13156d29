// SPDX-License-Identifier: MIT
#include "framework/plugin/scaffold.hpp"

#include <fmt/format.h>

#include <utility>

#include "base/error.hpp"
#include "base/output/write_file.hpp"
#include "framework/plugin/descriptor.hpp"
#include "framework/plugin/project_files.hpp"

namespace evictlab {

namespace fs = std::filesystem;

namespace {

// Names that CMake keeps for itself.
constexpr std::string_view reserved[] = {"all",     "clean",   "edit_cache",    "help",
                                         "install", "package", "rebuild_cache", "test"};

/// Refuses a bad name or a folder in use; makes the folder.
void prepare(std::string_view name, const fs::path& folder) {
    if (!is_identifier(name))
        throw UsageError(fmt::format("'{}' cannot name a scorer: it must match [a-z][a-z0-9_]*", name));
    if (std::ranges::count(reserved, name) > 0)
        throw UsageError(fmt::format("'{}' cannot name a scorer: CMake keeps that name for a target of its own", name));
    std::error_code error;
    if (fs::exists(folder, error) && !fs::is_empty(folder, error))
        throw UsageError(fmt::format("{} exists and is not empty; choose another name or folder", folder.string()));
    fs::create_directories(folder, error);
    if (error) throw Error(fmt::format("cannot make the folder {}: {}", folder.string(), error.message()));
}

/// What stands for a name in the templates above.
std::vector<std::pair<std::string_view, std::string>> values_of(std::string_view name) {
    const fs::path prefix = fs::read_symlink("/proc/self/exe").parent_path().parent_path();
    return {{"@NAME@", std::string(name)}, {"@STRUCT@", struct_name(name)}, {"@PREFIX@", prefix.string()}};
}

} // namespace

std::string struct_name(std::string_view name) {
    std::string result;
    bool upper = true;
    for (const char c : name) {
        if (c != '_') result += upper && c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
        upper = c == '_';
    }
    return result;
}

std::string filled(std::string_view text, const std::vector<std::pair<std::string_view, std::string>>& values) {
    std::string result(text);
    for (const auto& [key, value] : values)
        for (std::size_t at = 0; (at = result.find(key, at)) != std::string::npos; at += value.size())
            result.replace(at, key.size(), value);
    return result;
}

Language language_named(std::string_view name) {
    if (name == "cpp") return Language::cpp;
    if (name == "c") return Language::c;
    if (name == "rust") return Language::rust;
    throw UsageError(fmt::format("'{}' is no language that projects are written in: cpp, c or rust", name));
}

std::vector<fs::path> write_plugin_project(std::string_view name, const fs::path& folder,
                                           const std::string& source_text) {
    prepare(name, folder);
    std::vector<fs::path> files{folder / "CMakeLists.txt", folder / (std::string(name) + ".cpp")};
    write_file(files[0], filled(project_files(Language::cpp).front().text, values_of(name)));
    write_file(files[1], source_text);
    return files;
}

std::vector<fs::path> write_plugin_project(std::string_view name, const fs::path& folder, Language language) {
    prepare(name, folder);
    const auto values = values_of(name);
    std::vector<fs::path> files;
    for (const ProjectFile& each : project_files(language)) {
        files.push_back(folder / filled(each.path, values));
        std::error_code error;
        fs::create_directories(files.back().parent_path(), error);
        write_file(files.back(), filled(each.text, values));
        if (each.executable)
            fs::permissions(files.back(), fs::perms::owner_exec | fs::perms::group_exec | fs::perms::others_exec,
                            fs::perm_options::add);
    }
    return files;
}

} // namespace evictlab
