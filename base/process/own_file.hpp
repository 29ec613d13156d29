// Where this code was loaded from, so that what belongs to it is found wherever an installation was moved to.
// SPDX-License-Identifier: MIT
#pragma once
#include <filesystem>

namespace evictlab {

/// The program, or the shared library that this code is part of: PREFIX/bin/evictlab or PREFIX/lib/libevictlab.so.
std::filesystem::path own_file();

} // namespace evictlab
