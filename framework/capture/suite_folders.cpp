// Where captured suites lie: EVICTLAB_SUITE_PATH, what came with the program, or any folder.
// SPDX-License-Identifier: MIT
#include <cstdlib>
#include <set>

#include "base/process/own_file.hpp"
#include "framework/capture/captured_suite.hpp"

namespace evictlab {
namespace {

namespace fs = std::filesystem;

bool is_suite(const fs::path& folder) {
    std::error_code error;
    return fs::is_regular_file(folder / "suite.json", error);
}

/// share/evictlab/suites of an installation, else suites of the build folder.
fs::path shipped_suites() {
    const fs::path prefix = own_file().parent_path().parent_path();
    const fs::path installed = prefix / "share" / "evictlab" / "suites";
    std::error_code error;
    return fs::is_directory(installed, error) ? installed : prefix / "suites";
}

std::vector<fs::path> folders_of_suites() {
    std::vector<fs::path> folders;
    const char* value = std::getenv("EVICTLAB_SUITE_PATH");
    std::string_view rest = value ? value : "";
    while (!rest.empty()) {
        const auto colon = rest.find(':');
        if (const auto folder = rest.substr(0, colon); !folder.empty()) folders.emplace_back(folder);
        rest.remove_prefix(colon == std::string_view::npos ? rest.size() : colon + 1);
    }
    folders.push_back(shipped_suites());
    return folders;
}

} // namespace

std::optional<fs::path> captured_suite_by_name(std::string_view name) {
    if (name.empty() || name.find('/') != std::string_view::npos) return std::nullopt;
    for (const fs::path& folder : folders_of_suites())
        if (is_suite(folder / name)) return folder / name;
    return std::nullopt;
}

std::optional<fs::path> find_captured_suite(std::string_view name_or_folder) {
    if (auto by_name = captured_suite_by_name(name_or_folder)) return by_name;
    if (!name_or_folder.empty() && is_suite(name_or_folder)) return fs::path(name_or_folder);
    return std::nullopt;
}

std::vector<std::string> captured_suite_names() {
    std::set<std::string> names;
    for (const fs::path& folder : folders_of_suites()) {
        std::error_code error;
        for (const auto& entry : fs::directory_iterator(folder, error))
            if (is_suite(entry.path())) names.insert(entry.path().filename().string());
    }
    return {names.begin(), names.end()};
}

} // namespace evictlab
