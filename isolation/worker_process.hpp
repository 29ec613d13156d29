// A process that runs one plugin, from the host's side: asked one thing at a time, and killed when it does not answer.
// SPDX-License-Identifier: MIT
#pragma once
#include <sys/types.h>

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "isolation/census.hpp"
#include "isolation/control.hpp"
#include "isolation/limits.hpp"
#include "isolation/shared_memory.hpp"
#include "isolation/spawner.hpp"

namespace evictlab::isolation {

/// How a worker ended that gave no answer, as far as one look tells whose doing that was.
enum class Ending : std::uint8_t {
    own,     ///< its plugin's beyond doubt: it exited, never came back, took too much, overwrote what is shared
    crash,   ///< by a signal that programs get for what they do
    killed,  ///< by a signal that others send, as a rule
    stopped, ///< by SIGSTOP, or by a debugger
    starved, ///< not its plugin's: it had no processor time for its answer
    unborn,  ///< not its plugin's: it could not be started, or ended before it was up
};

/// What came of a request.
struct Answer {
    enum class Kind : std::uint8_t {
        done,
        failed,
        dead,
        slow, ///< several calls together are taking long: ask for them one by one, of another worker
    };
    Kind kind = Kind::done;
    std::string plugin; ///< of `failed` in loading: how the worker names the plugin
    std::string phase;  ///< of what is not `done`: load, create, score, budget, destroy
    std::string cause;
    Ending ending = Ending::own; ///< of `dead`
};

/// Not thread-safe, but may pass from thread to thread. The destructor kills the supervisor with all that it watches
/// over, and reaps it.
class WorkerProcess {
public:
    /// Returns before the process is up. `library`: what it will be asked to load, or null. Throws SpawnError, Error.
    WorkerProcess(const Settings& settings, Spawner& spawner, Census& census, const SharedMemory& rows,
                  const SealedLibrary* library);
    WorkerProcess(const WorkerProcess&) = delete;
    WorkerProcess& operator=(const WorkerProcess&) = delete;
    ~WorkerProcess();

    /// Where values or batches for the next request go.
    SharedMemory& input() { return input_; }
    SharedMemory& output() { return output_; }

    /// Does not wait, but for the first request, which is sent by finish().
    void start(const Request& request);
    /// Waits for the answer, and looks meanwhile whether it is still wanted. A worker that is late is killed, and
    /// `dead`; so is one that died or was stopped. Throws Interrupted, the worker being killed, soon after
    /// Settings::stop was set.
    Answer finish(const std::function<bool()>& unwanted = {});
    /// start(), then finish().
    Answer ask(const Request& request, const std::function<bool()>& unwanted = {}) {
        start(request);
        return finish(unwanted);
    }
    /// Of the last answer, as the worker has it.
    std::string text() const;
    std::uint64_t number() const { return control().number; }
    std::uint32_t layers() const { return watch().layers; } ///< that hold it since its first load (layers.hpp)
    bool alive() const { return pid_ > 0; }
    /// Whether it has ended or was stopped, though nobody asked it anything.
    bool was_hit() const;

private:
    using Clock = std::chrono::steady_clock;
    Control& control() const { return *reinterpret_cast<Control*>(control_.data()); }
    const Watch& watch() const { return *reinterpret_cast<const Watch*>(watch_.data()); }
    bool answered() const { return control().answered.load(std::memory_order_acquire) == asked_; }
    void send();
    std::optional<Answer> come_up();
    std::optional<Answer> look(Clock::time_point began, double used_before, std::uint32_t& calls,
                               Clock::time_point& since);
    std::optional<Answer> look_at_process();
    void check_stop();
    double processor_time() const;
    void allow_processor_time();
    Answer failed_answer();
    Answer dead(Ending ending, std::string cause);
    std::optional<Answer> late(double used, double passed);
    Answer autopsy();
    std::string words_of_signal(int signal) const;
    std::string last_words() const;
    void kill_and_reap();

    const SharedMemory& prepared(const SharedMemory& rows) const;

    const Settings& settings_;
    Census& census_;
    SharedMemory control_, watch_, input_, output_, said_;
    pid_t pid_ = -1;                       ///< of the supervisor
    std::shared_ptr<Census::Entry> entry_; ///< of the process that it watches over, once that is up
    bool up_ = false;
    std::uint32_t asked_ = 0;
    Clock::time_point allow_again_, count_again_;
    Request request_;
};

} // namespace evictlab::isolation
