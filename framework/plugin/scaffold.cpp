// SPDX-License-Identifier: MIT
#include "framework/plugin/scaffold.hpp"

#include <fmt/format.h>

#include <utility>

#include "base/error.hpp"
#include "base/output/write_file.hpp"
#include "framework/plugin/descriptor.hpp"

namespace evictlab {

namespace fs = std::filesystem;

namespace {

constexpr std::string_view cmake_lists = R"(# SPDX-License-Identifier: MIT
cmake_minimum_required(VERSION 3.22)
project(@NAME@ LANGUAGES CXX)
if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE Release)
endif()
# Looked for where the program that wrote this project lay. Elsewhere: cmake -DCMAKE_PREFIX_PATH=PREFIX ...
find_package(evictlab REQUIRED HINTS "@PREFIX@")
evictlab_add_scorer(@NAME@ @NAME@.cpp)
)";

constexpr std::string_view source =
    R"(// @NAME@: sinks and the newest tokens first, then the attention received per query.
#include <evictlab/scorer.hpp>

#include <cmath>

struct @STRUCT@ {
    // Parameters: the members' initial values are the defaults.
    int sinks = 4;
    int window = 16;
    double power = 1;

    static constexpr evictlab::Info info{.id = "@NAME@",
                                         .name = "@STRUCT@",
                                         .version = "0.1.0",
                                         .description = "sinks and newest: keep; else cumulative_attn / age^power",
                                         .reference = ""};
    // What the scorer sees; `evictlab plugins columns` lists all there is.
    static constexpr evictlab::Columns columns{"position", "relative_pos", "cumulative_attn"};
    static constexpr evictlab::Parameter<@STRUCT@> parameters[] = {
        {&@STRUCT@::sinks, {.key = "sinks", .help = "first tokens always kept", .max = 64}},
        {&@STRUCT@::window, {.key = "window", .help = "newest tokens always kept", .max = 4096}},
        {&@STRUCT@::power, {.key = "power", .help = "of the age", .max = 4}}};
    // A preset that is a published method says so behind its values, with .reference above: Standing::published.
    static constexpr evictlab::Preset presets[] = {{"no_window", "attention alone", {{"sinks", 0}, {"window", 0}}}};

    // One KV head of one layer: a score for each cached token, higher = keep.
    void score(evictlab::Head<@STRUCT@> head, std::span<double> out) const {
        const auto position = head["position"], age = head["relative_pos"], attention = head["cumulative_attn"];
        for (std::size_t i = 0; i < out.size(); ++i) {
            const bool kept = position[i] < sinks || age[i] < window;
            out[i] = kept ? evictlab::keep : attention[i] / std::pow(age[i] + 1, power);
        }
    }
};
EVICTLAB_SCORER(@STRUCT@)
)";

constexpr std::string_view readme = R"(# @NAME@

A KV-cache eviction scorer for Evictlab. Build it and see where it stands:

    cmake -S . -B build
    cmake --build build
    evictlab bench --suite micro --scorers @NAME@,h2o@seed,streaming_llm@seed --plugin-dir build

Other parameters or the preset: `@NAME@:window=32,power=0.5`, `@NAME@@no_window`. The rule is in `@NAME@.cpp`. Whether it
keeps the contract with the host, and how to mend what does not:

    evictlab check build/@NAME@.so

`./check` does all of the above and fails if anything is wrong; it suits a CI job.
)";

constexpr std::string_view check = R"sh(#!/bin/sh
# Builds the scorer, tests that it keeps the contract and measures it once. PREFIX=... names an Evictlab installation that is not in the usual places.
set -eu
cd "$(dirname "$0")"
cmake -S . -B build ${PREFIX:+-DCMAKE_PREFIX_PATH="$PREFIX"} > /dev/null
cmake --build build
"${PREFIX:+$PREFIX/bin/}evictlab" check build/@NAME@.so
"${PREFIX:+$PREFIX/bin/}evictlab" bench --suite micro --scorers @NAME@ --plugin-dir build
echo "@NAME@: all is well"
)sh";

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

std::vector<fs::path> write_plugin_project(std::string_view name, const fs::path& folder,
                                           const std::string& source_text) {
    prepare(name, folder);
    std::vector<fs::path> files{folder / "CMakeLists.txt", folder / (std::string(name) + ".cpp")};
    write_file(files[0], filled(cmake_lists, values_of(name)));
    write_file(files[1], source_text);
    return files;
}

std::vector<fs::path> write_plugin_project(std::string_view name, const fs::path& folder) {
    const auto values = values_of(name);
    std::vector<fs::path> files = write_plugin_project(name, folder, filled(source, values));
    files.push_back(folder / "README.md");
    write_file(files.back(), filled(readme, values));
    files.push_back(folder / "check");
    write_file(files.back(), filled(check, values));
    fs::permissions(files.back(), fs::perms::owner_exec | fs::perms::group_exec | fs::perms::others_exec,
                    fs::perm_options::add);
    return files;
}

} // namespace evictlab
