// Isolated plugins in a test program, and what is left of their workers.
// SPDX-License-Identifier: MIT
#pragma once
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <memory>
#include <string>
#include <thread>

#include "framework/plugin/host.hpp"
#include "isolation/isolated_plugin.hpp"
#include "tests/support/temporary_folder.hpp"

namespace evictlab::test {

inline isolation::Settings worker_settings(double timeout = 60) {
    isolation::Settings settings;
    settings.program = EVICTLAB_WORKER;
    settings.limits.timeout = timeout; // a busy machine must not make an innocent plugin late
    settings.limits.memory = 256;
    return settings;
}

/// For PluginHost: every plugin in processes of its own.
inline PluginHost::Loader isolating(const isolation::Settings& settings = worker_settings()) {
    return [pool = std::make_shared<isolation::WorkerPool>(settings)](const std::filesystem::path& file) {
        return isolation::load_isolated(file, pool);
    };
}

/// Workers of the host with this number, and what they have forked.
inline int count_workers(pid_t host) {
    const std::string line = std::string("evictlab-worker\0", 16) + std::to_string(host) + std::string(1, '\0');
    int count = 0;
    std::error_code error;
    for (const auto& entry : std::filesystem::directory_iterator("/proc", error))
        if (bytes_of(entry.path() / "cmdline") == line) ++count;
    return count;
}

/// Waits for a moment until there are none.
inline bool no_worker_left(pid_t host) {
    for (int look = 0; look < 200; ++look) {
        if (count_workers(host) == 0) return true;
        std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
    return false;
}

} // namespace evictlab::test
