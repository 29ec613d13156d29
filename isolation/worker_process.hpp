// A process that runs one plugin, from the host's side: asked one thing at a time, and killed when it does not answer.
// SPDX-License-Identifier: MIT
#pragma once
#include <sys/types.h>

#include <chrono>
#include <string>
#include <string_view>

#include "isolation/control.hpp"
#include "isolation/limits.hpp"
#include "isolation/shared_memory.hpp"
#include "isolation/spawner.hpp"

namespace evictlab::isolation {

/// What came of a request.
struct Answer {
    enum class Kind : std::uint8_t { done, failed, dead };
    Kind kind = Kind::done;
    std::string plugin; ///< of `failed` in loading: how the worker names the plugin
    std::string phase;  ///< of what is not `done`: load, create, score, budget, destroy
    std::string cause;
};

/// Not thread-safe, but may pass from thread to thread. The destructor kills the supervisor with all that it watches
/// over, and reaps it.
class WorkerProcess {
public:
    /// Returns before the process is up. Throws Error.
    WorkerProcess(const Settings& settings, Spawner& spawner, const SharedMemory& rows);
    WorkerProcess(const WorkerProcess&) = delete;
    WorkerProcess& operator=(const WorkerProcess&) = delete;
    ~WorkerProcess();

    /// Where values or batches for the next request go.
    SharedMemory& input() { return input_; }
    SharedMemory& output() { return output_; }

    void start(const Request& request);
    /// Waits for the answer. A worker that is late is killed, and `dead`; so is one that died. Throws Interrupted, the
    /// worker being killed, soon after Settings::stop was set.
    Answer finish();
    /// start(), then finish().
    Answer ask(const Request& request) {
        start(request);
        return finish();
    }
    /// Of the last answer, as the worker has it.
    std::string text() const;
    std::uint64_t number() const { return control().number; }
    std::uint32_t layers() const { return watch().layers; } ///< that hold it since its first load (layers.hpp)
    bool alive() const { return pid_ > 0; }

private:
    using Clock = std::chrono::steady_clock;
    Control& control() const { return *reinterpret_cast<Control*>(control_.data()); }
    const Watch& watch() const { return *reinterpret_cast<const Watch*>(watch_.data()); }
    bool answered() const { return control().answered.load(std::memory_order_acquire) == asked_; }
    bool late(Clock::time_point& since, std::uint32_t& calls, Clock::time_point started) const;
    void allow_processor_time();
    Answer failed_answer();
    Answer dead(std::string cause);
    Answer autopsy();
    std::string words_of_signal(int signal) const;
    std::string last_words() const;
    void kill_and_reap();

    const SharedMemory& prepared(const SharedMemory& rows) const;

    const Settings& settings_;
    SharedMemory control_, watch_, input_, output_, said_;
    pid_t pid_ = -1; ///< of the supervisor
    std::uint32_t asked_ = 0;
    Clock::time_point allow_again_;
    Request request_;
};

} // namespace evictlab::isolation
