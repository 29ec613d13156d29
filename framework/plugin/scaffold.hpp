// A plugin project of its own, ready to build and run: a new one, or one around a scorer that is written already.
// SPDX-License-Identifier: MIT
#pragma once
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace evictlab {

enum class Language : std::uint8_t { cpp, c, rust };
/// `cpp`, `c` or `rust`; UsageError for anything else.
Language language_named(std::string_view name);

/// Writes the project of the scorer `name` into `folder`, which is made (or is empty), and gives the files written, in
/// order. Throws UsageError for a name that a scorer cannot have or a folder that is not empty, Error where writing
/// fails.
std::vector<std::filesystem::path> write_plugin_project(std::string_view name, const std::filesystem::path& folder,
                                                        Language language = Language::cpp);
/// The same around `source`, which defines the scorer: it and a CMakeLists.txt.
std::vector<std::filesystem::path> write_plugin_project(std::string_view name, const std::filesystem::path& folder,
                                                        const std::string& source);

/// `MyScorer` of `my_scorer`.
std::string struct_name(std::string_view name);
/// A template with each key, such as `@NAME@`, replaced wherever it stands.
std::string filled(std::string_view text, const std::vector<std::pair<std::string_view, std::string>>& values);

} // namespace evictlab
