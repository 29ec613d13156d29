// Isolated plugins in a test program, and what is left of their workers.
// SPDX-License-Identifier: MIT
#pragma once
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <memory>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

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

/// What /proc says of a process, which may end meanwhile: then less, or nothing.
inline std::string told_of_process(const std::filesystem::path& process, const char* what) {
    std::ostringstream text;
    text << std::ifstream(process / what).rdbuf(); // which throws nothing where reading fails
    return text.str();
}

/// The numbers of the processes that the workers of the host with this number are made of.
inline std::vector<pid_t> processes_of_workers(pid_t host) {
    const std::string line = std::string("evictlab-worker\0", 16) + std::to_string(host) + std::string(1, '\0');
    std::vector<pid_t> numbers;
    std::error_code error;
    for (std::filesystem::directory_iterator entry("/proc", error), end; !error && entry != end; entry.increment(error))
        if (told_of_process(entry->path(), "cmdline") == line)
            numbers.push_back(std::stoi(entry->path().filename().string()));
    return numbers;
}

/// Workers of the host: its own children.
inline int count_workers(pid_t host) {
    int count = 0;
    for (const pid_t worker : processes_of_workers(host)) {
        const std::string status = told_of_process("/proc/" + std::to_string(worker), "stat");
        const std::size_t name_end = status.rfind(')');
        if (name_end != status.npos && status.find(" " + std::to_string(host) + " ", name_end) == name_end + 3) ++count;
    }
    return count;
}

/// Waits until there are none, a minute at most.
inline bool no_worker_left(pid_t host) {
    for (int look = 0; look < 3000; ++look) {
        if (processes_of_workers(host).empty()) return true;
        std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
    return false;
}

} // namespace evictlab::test
