// The workers that there are, and what the kernel tells of each: so that one which takes all threads that there may be
// is found, and not those that then get none. SPDX-License-Identifier: MIT
#pragma once
#include <sys/types.h>

#include <atomic>
#include <list>
#include <memory>
#include <mutex>
#include <optional>

namespace evictlab::isolation {

/// Of /proc/PID/stat.
struct ProcessStatus {
    char state = '?'; ///< R running, S asleep, D waiting for a disk, T stopped, t held by a debugger, Z ended, ...
    unsigned threads = 0;
};
/// Nothing where there is no such process.
std::optional<ProcessStatus> process_status(pid_t pid);

/// Thread-safe.
class Census {
public:
    struct Entry {
        pid_t pid = -1;
        std::atomic<bool> was_hog{false}; ///< and was killed for it
    };
    Census();
    static constexpr unsigned most_threads = 256; ///< of a worker
    std::shared_ptr<Entry> add(pid_t pid);
    /// Before the process is reaped and its number given to another one.
    void remove(const std::shared_ptr<Entry>& entry);
    /// Kills the workers that have more threads than a worker may; where there are no more to be had, those that have
    /// more than 16, or two a core where that is more. Whether there were any.
    bool end_hogs(bool scarce);
    /// Whether the kernel has killed processes for want of memory since this was last asked.
    bool memory_ran_out();

private:
    std::mutex mutex_;
    std::list<std::shared_ptr<Entry>> entries_;
    long memory_kills_;
};

} // namespace evictlab::isolation
