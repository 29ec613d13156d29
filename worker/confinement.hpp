// What a worker gives up before it runs a plugin's first instruction.
// SPDX-License-Identifier: MIT
#pragma once
#include <cstddef>
#include <string>

#include "isolation/limits.hpp"

namespace evictlab::isolation {

/// Sets the limits that the system holds (address space, open files, size of files, no core dumps) and lowers what the
/// process may ask the system for. Gives the bytes of address space with which no more than an eighth of what it was
/// allowed is left; 0 where there is no limit, in builds with sanitizers, which need terabytes.
std::size_t limit_resources(const Limits& limits);

/// Refuses, from now on, system calls for networks, for new processes, for writing to files or changing folders, and
/// for reaching into other processes, by libseccomp. False where this build or the running kernel has no such filter.
bool filter_system_calls();

} // namespace evictlab::isolation
