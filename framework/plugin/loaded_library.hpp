// A plugin's library in this process, by the loader.
// SPDX-License-Identifier: MIT
#pragma once
#include <boost/dll/shared_library.hpp>
#include <memory>

#include "framework/plugin/sealed_library.hpp"

namespace evictlab {

/// Loads the sealed bytes, or finds them loaded; debuggers and dladdr() call them by their file all the same. A library
/// that names its neighbours by its own place is loaded from its file, unless this process has only the descriptor and
/// so works in that folder; it is refused where the file is not what was sealed. Throws Error with the loader's words.
std::shared_ptr<boost::dll::shared_library> load_library(const SealedLibrary& library);

} // namespace evictlab
