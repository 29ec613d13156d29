// SPDX-License-Identifier: MIT
#include "isolation/worker_process.hpp"

#include <fmt/format.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <csignal>
#include <cstring>
#include <ctime>
#include <thread>
#include <utility>

#include "framework/error.hpp"
#include "text/shown.hpp"

namespace evictlab::isolation {
namespace {

using namespace std::chrono_literals;

constexpr auto starting_patience = 60s; // until the process is up, which is no plugin's doing
constexpr auto shortest_look = std::chrono::nanoseconds(1ms), longest_look = std::chrono::nanoseconds(20ms);

std::string_view phase_of(Command command) {
    switch (command) {
    case Command::load:
        return "load";
    case Command::create:
        return "create";
    case Command::score:
        return "score";
    case Command::layer_budget:
    case Command::head_budgets:
        return "budget";
    case Command::check:
        return "check";
    case Command::destroy:
        break;
    }
    return "destroy";
}

template <std::size_t size>
std::string text_in(const char (&memory)[size]) {
    return text::sentence({memory, strnlen(memory, size)});
}

std::string signal_name(int signal) {
    const char* const name = sigabbrev_np(signal);
    return name ? fmt::format("SIG{}", name) : fmt::format("signal {}", signal);
}

/// Reads how the process ended, without reaping it; nothing while it runs.
bool has_ended(pid_t pid, siginfo_t& end) {
    end = {};
    return ::waitid(P_PID, static_cast<id_t>(pid), &end, WEXITED | WNOHANG | WNOWAIT) != 0 || end.si_pid == pid;
}

} // namespace

WorkerProcess::WorkerProcess(const Settings& settings, Spawner& spawner, const SharedMemory& rows)
    : settings_(settings), control_("evictlab-control", control_memory, SharedMemory::Access::read_write),
      watch_("evictlab-watch", watch_memory, SharedMemory::Access::read_write),
      input_("evictlab-input", input_memory, SharedMemory::Access::read_only, SharedMemory::Length::grows),
      output_("evictlab-output", output_memory, SharedMemory::Access::read_write, SharedMemory::Length::grows),
      said_("evictlab-said", settings.limits.said, SharedMemory::Access::read_write),
      pid_(spawner.spawn({prepared(rows), input_, output_, rows, watch_, said_})) {
    input_.reach(request_size);
}

const SharedMemory& WorkerProcess::prepared(const SharedMemory& rows) const {
    control().limits = settings_.limits;
    control().rows_size = rows.size();
    return control_;
}

WorkerProcess::~WorkerProcess() { kill_and_reap(); }

void WorkerProcess::kill_and_reap() {
    if (pid_ <= 0) return;
    // The supervisor kills and reaps what it watches over; left to a container's init, which may reap nobody, it would
    // stay. SIGCONT: somebody may have stopped it.
    ::kill(pid_, SIGTERM);
    ::kill(pid_, SIGCONT);
    siginfo_t end{};
    while (::waitid(P_PID, static_cast<id_t>(pid_), &end, WEXITED | WNOWAIT) < 0 && errno == EINTR) {
    }
    ::kill(-pid_, SIGKILL); // before it is reaped, while the group's number is surely its
    while (::waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {
    }
    pid_ = -1;
}

void WorkerProcess::start(const Request& request) {
    request_ = request;
    if (!alive()) return;
    allow_processor_time();
    std::memcpy(input_.data(), &request, sizeof request);
    control().crash.store(Crash::none, std::memory_order_relaxed);
    control().asked.store(++asked_, std::memory_order_release);
    wake_all(control().asked);
}

/// A limit on processor time counts from the start of a process, so it is moved on as long as the worker is asked. Not
/// at every request, of which there are thousands a second: the allowance has seconds to spare.
void WorkerProcess::allow_processor_time() {
    const auto now = Clock::now();
    if (now < allow_again_) return;
    allow_again_ = now + 1s;
    const pid_t plugin = watch().plugin;
    if (plugin <= 0) return; // the first request comes before it is up
    clockid_t clock{};
    timespec used{};
    if (::clock_getcpuclockid(plugin, &clock) != 0 || ::clock_gettime(clock, &used) != 0) return;
    static const double cores = std::max(1u, std::thread::hardware_concurrency()); // reads a file
    const double allowance = std::ceil((settings_.limits.timeout + 1) * cores) + 5;
    rlimit limit{static_cast<rlim_t>(used.tv_sec) + static_cast<rlim_t>(allowance), RLIM_INFINITY};
    ::prlimit(plugin, RLIMIT_CPU, &limit, nullptr);
}

Answer WorkerProcess::finish() {
    if (!alive()) return {Answer::Kind::dead, {}, std::string(phase_of(request_.command)), "its process has ended"};
    const auto started = Clock::now();
    auto since = started;
    auto look = shortest_look;
    std::uint32_t calls = control().calls.load(std::memory_order_relaxed);
    while (!answered()) {
        const std::uint32_t seen = control().answered.load(std::memory_order_acquire);
        if (seen != asked_ && seen != asked_ - 1) return dead("wrote over what it shares with this program");
        if (seen != asked_) wait_while_equal(control().answered, seen, look);
        if (answered()) break;
        look = std::min(2 * look, longest_look);
        siginfo_t end{};
        if (has_ended(pid_, end)) return autopsy();
        if (settings_.stop && settings_.stop->load(std::memory_order_relaxed)) {
            kill_and_reap();
            throw Interrupted("stopped");
        }
        if (late(since, calls, started))
            return dead(control().phase.load(std::memory_order_relaxed) == Phase::starting
                            ? "its process did not come up"
                            : fmt::format("no answer within {} s (--plugin-timeout)", settings_.limits.timeout));
    }
    if (control().outcome == Outcome::done) return {};
    return failed_answer();
}

/// Each call into the plugin has the time-out to itself; all of a request together no more than their number allows,
/// whatever the worker says of their beginnings.
bool WorkerProcess::late(Clock::time_point& since, std::uint32_t& calls, Clock::time_point started) const {
    const auto now = Clock::now();
    if (control().phase.load(std::memory_order_relaxed) == Phase::starting) {
        since = now;
        return now - started > starting_patience;
    }
    if (const auto begun = control().calls.load(std::memory_order_relaxed); begun != calls) {
        calls = begun;
        since = now;
    }
    const auto passed = [now](Clock::time_point from) { return std::chrono::duration<double>(now - from).count(); };
    const double most_calls = request_.command == Command::score ? static_cast<double>(request_.count) + 2 : 2;
    return passed(since) > settings_.limits.timeout ||
           passed(started) >
               most_calls * settings_.limits.timeout + std::chrono::duration<double>(starting_patience).count();
}

Answer WorkerProcess::failed_answer() {
    if (control().crash.load(std::memory_order_relaxed) == Crash::out_of_memory) // what it took is not given back
        return dead(fmt::format("ran into the memory limit of {} MiB (--plugin-memory)", settings_.limits.memory));
    Answer answer{Answer::Kind::failed, text_in(control().plugin), text_in(control().at), text_in(control().cause)};
    if (answer.phase.empty()) answer.phase = phase_of(request_.command);
    return answer;
}

Answer WorkerProcess::dead(std::string cause) {
    kill_and_reap();
    return {Answer::Kind::dead, {}, std::string(phase_of(request_.command)), std::move(cause)};
}

Answer WorkerProcess::autopsy() {
    siginfo_t end{};
    has_ended(pid_, end);
    if (end.si_pid == 0) return dead("its process ended"); // a host that ignores SIGCHLD is not told how
    if (end.si_code == CLD_EXITED) return dead(fmt::format("ended its process with exit code {}", end.si_status));
    return dead(words_of_signal(end.si_status));
}

std::string WorkerProcess::words_of_signal(int signal) const {
    const std::string killed = fmt::format("its process was killed by {}", signal_name(signal));
    switch (control().crash.load(std::memory_order_relaxed)) {
    case Crash::null_pointer:
        return killed + ": a null pointer";
    case Crash::stack_overflow:
        return killed + ": its stack overflowed";
    case Crash::behind_scores:
        return fmt::format("wrote outside its buffer, behind its scores ({} in a guard page)", signal_name(signal));
    case Crash::before_scores:
        return fmt::format("wrote outside its buffer, before its scores ({} in a guard page)", signal_name(signal));
    case Crash::into_input:
        return fmt::format("wrote into its columns, which are read-only ({})", signal_name(signal));
    case Crash::undeclared_column:
        return "read a column that it did not declare";
    case Crash::past_columns:
        return fmt::format("read past the end of its columns ({})", signal_name(signal));
    case Crash::forbidden_call:
        return fmt::format("asked the system for `{}`, which a plugin may not ({})", text_in(watch().forbidden_call),
                           signal_name(signal));
    case Crash::out_of_memory:
        return fmt::format("ran into the memory limit of {} MiB (--plugin-memory; {})", settings_.limits.memory,
                           signal_name(signal));
    case Crash::none:
        break;
    }
    if (signal == SIGSYS) return killed + ": it asked the system for what a plugin may not";
    if (signal == SIGXCPU) return "used too much processor time for one call (SIGXCPU)";
    if (signal == SIGKILL) return killed + ", not by this program: perhaps the system ran out of memory";
    return signal == SIGABRT ? killed + last_words() : killed;
}

/// The last line that it printed: the reason of an abort, mostly.
std::string WorkerProcess::last_words() const {
    const auto* const text = reinterpret_cast<const char*>(said_.data());
    std::string_view said(text, strnlen(text, said_.size()));
    while (!said.empty() && std::isspace(static_cast<unsigned char>(said.back()))) said.remove_suffix(1);
    if (said.empty()) return {};
    if (const auto line = said.rfind('\n'); line != said.npos) said.remove_prefix(line + 1);
    return fmt::format(": {}", text::sentence(said, 160));
}

std::string WorkerProcess::text() const {
    const std::size_t size = std::min<std::size_t>(control().text_size, text_room);
    return {control().text, size};
}

} // namespace evictlab::isolation
