// A look at a library's file before the loader maps it: a file that was cut short would kill the process on first
// touch. SPDX-License-Identifier: MIT
#pragma once
#include <filesystem>
#include <string>

namespace evictlab {

/// Why the file cannot be a whole shared library of this machine, or "" where nothing speaks against it.
std::string library_file_defect(const std::filesystem::path& file);

} // namespace evictlab
