// What a plugin's process may ask the system for: a list of system calls and of their arguments, by libseccomp. What is
// not on it ends the process by SIGSYS; what libraries are known to try, and to go on without, only fails.
// SPDX-License-Identifier: MIT
#pragma once
#include <string>

namespace evictlab::isolation {

/// From now on, for all threads and for good. Loads libraries, runs threads, takes memory and reads files; nothing in
/// it reaches another process, a terminal, a network or a file's content or state. False where this build or the
/// running kernel has no such filter.
bool filter_system_calls();

/// "socket"; "system call 1000" where it has no name.
std::string name_of_system_call(int number);

} // namespace evictlab::isolation
