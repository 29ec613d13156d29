// Which files a plugin may read, by Landlock (Linux 5.13).
// SPDX-License-Identifier: MIT
#pragma once
#include "framework/plugin/sealed_library.hpp"

namespace evictlab::isolation {

/// From now on this process can open, of the file system, no more than what the loader and libraries need: the system's
/// libraries and data (/usr, /lib*), /proc, /dev/null, /dev/zero, /dev/random, what tells of the processors, the
/// plugin's file, and the libraries ("*.so*") beside it, in the folders of its search path and in those of
/// LD_LIBRARY_PATH. Nothing for writing, no
/// other process can be looked into or, from Linux 6.12 on, signalled. False where the kernel has no Landlock.
bool close_files(const SealedLibrary& plugin);

} // namespace evictlab::isolation
