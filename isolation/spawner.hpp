// Starts workers from a thread of its own. A worker asks the kernel to be killed when its parent ends, and to the
// kernel the parent is the thread that started it: threads of TBB may end before the program does, this one does not.
// SPDX-License-Identifier: MIT
#pragma once
#include <sys/types.h>

#include <atomic>
#include <condition_variable>
#include <filesystem>
#include <functional>
#include <mutex>
#include <thread>

#include "base/error.hpp"
#include "isolation/limits.hpp"
#include "isolation/shared_memory.hpp"

namespace evictlab {
class SealedLibrary;
}

namespace evictlab::isolation {

/// No process can be started: for want of processes, memory or files, or because the program is gone.
struct SpawnError : Error {
    using Error::Error;
};

/// What a worker begins with.
struct WorkerMemory {
    const SharedMemory& control;
    const SharedMemory& input;
    const SharedMemory& output;
    const SharedMemory& rows;
    const SharedMemory& watch;
    const SharedMemory& said;               ///< its standard output and error
    const SealedLibrary* library = nullptr; ///< what it is to run, if anything
};

/// Thread-safe. Must live longer than the workers.
class Spawner {
public:
    /// Holds the program, so that all workers are of one build however long the run; that it is not there is told by
    /// spawn().
    explicit Spawner(const Settings& settings);
    Spawner(const Spawner&) = delete;
    Spawner& operator=(const Spawner&) = delete;
    ~Spawner();
    /// `evictlab-worker HOST`, in a session of its own, by posix_spawn: no copy of this process, whose threads may hold
    /// any lock, ever runs. It has of the environment only what a library's loading and running can need. Throws
    /// SpawnError.
    pid_t spawn(const WorkerMemory& memory);

private:
    void run();
    void end_stopped_children() const;
    std::filesystem::path program_;
    int descriptor_ = -1; ///< of the program
    int open_error_ = 0;
    std::mutex callers_; ///< one at a time
    std::mutex mutex_;
    std::condition_variable changed_;
    std::function<void()> work_;
    bool ends_ = false;
    std::atomic<pid_t> thread_number_{0}; ///< the system's, of thread_
    std::thread thread_;
};

} // namespace evictlab::isolation
