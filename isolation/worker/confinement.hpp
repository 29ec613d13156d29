// What a worker gives up before it runs a plugin's first instruction.
// SPDX-License-Identifier: MIT
#pragma once
#include <cstddef>
#include <cstdint>

#include "framework/plugin/sealed_library.hpp"
#include "isolation/limits.hpp"

namespace evictlab::isolation {

/// Bytes that a process has: of address space, and of that what is its own to write.
struct MemoryInUse {
    std::size_t all = 0, own = 0;
};
MemoryInUse memory_in_use();

/// Sets the limits that the system holds: address space, and of that what is the process's own to write, open files,
/// size of files, no core dumps. Gives what is in use where no more than an eighth of what was allowed is left; zeros
/// where there is no limit, in builds with sanitizers, which need terabytes.
MemoryInUse limit_resources(const Limits& limits);

/// Closes the files and system calls that the plugin needs none of, those of `without` left away. Gives
/// the layers (layers.hpp) that hold.
std::uint32_t confine(const SealedLibrary& plugin, std::uint32_t without);

constexpr bool has_sanitizer() {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    return true;
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
    return true;
#else
    return false;
#endif
#else
    return false;
#endif
}

} // namespace evictlab::isolation
