// `evictlab plugins new`: a plugin project of its own, ready to build and run.
// SPDX-License-Identifier: MIT
#pragma once
#include <filesystem>
#include <string_view>
#include <vector>

namespace evictlab {

/// Writes the project of the scorer `name` into `folder`, which is made (or is empty), and gives the files written, in
/// order. Throws UsageError for a name that a scorer cannot have or a folder that is not empty, Error where writing
/// fails.
std::vector<std::filesystem::path> write_plugin_project(std::string_view name, const std::filesystem::path& folder);

} // namespace evictlab
