// The files of a new plugin project, in each language. SPDX-License-Identifier: MIT
#pragma once
#include <span>
#include <string_view>

#include "framework/plugin/scaffold.hpp"

namespace evictlab {

/// @NAME@, @STRUCT@ and @PREFIX@ stand for the scorer's name, a type's of that name, and the program's installation.
struct ProjectFile {
    std::string_view path, text;
    bool executable = false;
};

/// In the order in which they are told; of C and C++ the CMakeLists.txt first.
std::span<const ProjectFile> project_files(Language language);
std::span<const ProjectFile> rust_project_files();

} // namespace evictlab
