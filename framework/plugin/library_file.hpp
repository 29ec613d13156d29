// A look at a library's bytes before the loader maps them: what was cut short would kill the process on first touch.
// SPDX-License-Identifier: MIT
#pragma once
#include <string>
#include <string_view>
#include <vector>

namespace evictlab {

/// Why the bytes cannot be a whole shared library of this machine, or "" where nothing speaks against it.
std::string library_file_defect(std::string_view bytes);

/// Whether a library without a defect looks for others by its own place: by $ORIGIN in a search path or in a name.
bool names_its_place(std::string_view bytes);
/// Where a library without a defect looks for others: the folders of its search path, as they are written there.
std::vector<std::string> search_path_of(std::string_view bytes);
/// Writes a path of the same length that means the working directory in the place of each such $ORIGIN.
void put_working_directory_for_place(std::string& bytes);

} // namespace evictlab
