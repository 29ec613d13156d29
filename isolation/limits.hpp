// What a plugin's process may use, and how long its calls may take.
// SPDX-License-Identifier: MIT
#pragma once
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <filesystem>

namespace evictlab::isolation {

struct Limits {
    double timeout = 10;          ///< seconds that each call into a plugin may take, its loading included
    std::size_t memory = 2048;    ///< MiB of address space beside what the process begins with
    std::size_t open_files = 256; ///< descriptors
    std::size_t said = 64 * 1024; ///< bytes that are kept of what it prints; also the longest file it could write
    std::uint32_t without = 0; ///< layers.hpp: those to leave away, for tests of what holds where a kernel lacks them
};

struct Settings {
    Limits limits;
    std::filesystem::path program;           ///< evictlab-worker
    const std::atomic<bool>* stop = nullptr; ///< set from outside: calls throw Interrupted soon after
};

} // namespace evictlab::isolation
