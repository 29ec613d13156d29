// SPDX-License-Identifier: MIT
#include "isolation/worker_process.hpp"

#include <fmt/format.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cmath>
#include <csignal>
#include <cstring>
#include <ctime>
#include <thread>
#include <utility>

#include "base/error.hpp"
#include "base/text/shown.hpp"

namespace evictlab::isolation {
namespace {

using namespace std::chrono_literals;

constexpr auto starting_patience = 60s; // until the process is up, which is no plugin's doing
constexpr auto shortest_look = std::chrono::nanoseconds(1ms), longest_look = std::chrono::nanoseconds(20ms);
constexpr int most_looks_at_end = 200; // that a worker ends when it is told to; then it is killed
constexpr auto between_counts = 50ms;  // of the threads of a worker that answers
constexpr double slow_share = 0.25; // of the time-out: how long several calls together may take before each has its own
constexpr double longest_wait = 10; // time-outs, of a worker that gets no processor
constexpr double longest_test = 60; // seconds beside two time-outs, however many calls it makes
constexpr double busy_share = 0.5;  // of the time-out: what processor time a worker had that was not left without

std::string_view phase_of(Command command) {
    switch (command) {
    case Command::load:
        return "load";
    case Command::create:
        return "create";
    case Command::score:
    case Command::model_scores:
        return "score";
    case Command::layer_budget:
    case Command::head_budgets:
    case Command::layer_facts:
    case Command::model_budgets:
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

/// Reads how the process ended or that it was stopped, without reaping it; nothing while it runs.
bool has_changed(pid_t pid, siginfo_t& how) {
    how = {};
    return ::waitid(P_PID, static_cast<id_t>(pid), &how, WEXITED | WSTOPPED | WNOHANG | WNOWAIT) != 0 ||
           how.si_pid == pid;
}

/// Those that the kernel or a program itself sends for what it does.
bool is_of_a_crash(int signal) {
    constexpr std::array crashes{SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT, SIGTRAP, SIGSYS, SIGXCPU, SIGXFSZ, SIGPIPE};
    return std::ranges::find(crashes, signal) != crashes.end();
}

double seconds_since(std::chrono::steady_clock::time_point from) {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - from).count();
}

std::string too_many_threads() {
    return fmt::format("has too many threads: a plugin may have {}, and few where no process can be started any more",
                       Census::most_threads);
}

/// How many calls into the plugin a request is.
std::uint64_t calls_of(const Request& request) {
    if (request.command != Command::score) return 1;
    return request.count + (request.first == FirstBatch::twice ? 1 : 0);
}

} // namespace

WorkerProcess::WorkerProcess(const Settings& settings, Spawner& spawner, Census& census, const SharedMemory& rows,
                             const SealedLibrary* library)
    : settings_(settings), census_(census),
      control_("evictlab-control", control_memory, SharedMemory::Access::read_write),
      watch_("evictlab-watch", watch_memory, SharedMemory::Access::read_write),
      input_("evictlab-input", input_memory, SharedMemory::Access::read_only, SharedMemory::Length::grows),
      output_("evictlab-output", output_memory, SharedMemory::Access::read_write, SharedMemory::Length::grows),
      said_("evictlab-said", settings.limits.said, SharedMemory::Access::read_write),
      pid_(spawner.spawn({prepared(rows), input_, output_, rows, watch_, said_, library})) {
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
    if (entry_) census_.remove(entry_);
    // The supervisor kills and reaps what it watches over; left to a container's init, which may reap nobody, it would
    // stay. SIGCONT: somebody may have stopped it, and may do so again.
    ::kill(pid_, SIGTERM);
    siginfo_t how{};
    for (int looks = 0; looks < most_looks_at_end && (!has_changed(pid_, how) || how.si_code == CLD_STOPPED); ++looks) {
        ::kill(pid_, SIGCONT);
        std::this_thread::sleep_for(looks < 10 ? 200us : 10ms);
    }
    ::kill(-pid_, SIGKILL); // before it is reaped, while the group's number is surely its
    while (::waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {
    }
    pid_ = -1;
}

void WorkerProcess::start(const Request& request) {
    request_ = request;
    if (!alive()) return;
    std::memcpy(input_.data(), &request, sizeof request);
    ++asked_;
    if (up_) send();
}

void WorkerProcess::send() {
    allow_processor_time();
    control().crash.store(Crash::none, std::memory_order_relaxed);
    control().asked.store(asked_, std::memory_order_release);
    wake_all(control().asked);
}

double WorkerProcess::processor_time() const {
    clockid_t clock{};
    timespec used{};
    if (::clock_getcpuclockid(watch().plugin, &clock) != 0 || ::clock_gettime(clock, &used) != 0) return 0;
    return static_cast<double>(used.tv_sec) + 1e-9 * static_cast<double>(used.tv_nsec);
}

/// A limit on processor time counts from the start of a process, so it is moved on as long as the worker is asked. Not
/// at every request, of which there are thousands a second: the allowance has seconds to spare.
void WorkerProcess::allow_processor_time() {
    const auto now = Clock::now();
    if (now < allow_again_) return;
    allow_again_ = now + 1s;
    static const double cores = std::max(1u, std::thread::hardware_concurrency()); // reads a file
    const double allowance = std::ceil((settings_.limits.timeout + 1) * cores) + 5;
    rlimit limit{static_cast<rlim_t>(processor_time() + allowance), RLIM_INFINITY};
    ::prlimit(watch().plugin, RLIMIT_CPU, &limit, nullptr);
}

void WorkerProcess::check_stop() {
    if (!settings_.stop || !settings_.stop->load(std::memory_order_relaxed)) return;
    kill_and_reap();
    throw Interrupted("stopped");
}

/// Sends the first request once the worker is up: before that it has none of the plugin's code, so whatever happens is
/// not the plugin's doing, and no plugin can say later that it was not up. Its supervisor may say its number after it
/// is up; until then the number is 0, which to the system means the host itself.
std::optional<Answer> WorkerProcess::come_up() {
    const auto began = Clock::now();
    const auto is_up = [this] {
        return control().up.load(std::memory_order_acquire) != 0 && watch().plugin.load(std::memory_order_acquire) > 0;
    };
    while (!is_up()) {
        if (control().up.load(std::memory_order_acquire) == 0)
            wait_while_equal(control().up, 0, longest_look);
        else
            std::this_thread::sleep_for(100us);
        siginfo_t how{};
        if (!is_up() && has_changed(pid_, how))
            return dead(Ending::unborn, "its process ended, or was stopped, before it was up" + last_words());
        check_stop();
        if (Clock::now() - began > starting_patience) return dead(Ending::unborn, "its process did not come up");
    }
    up_ = true;
    entry_ = census_.add(watch().plugin);
    send();
    return std::nullopt;
}

Answer WorkerProcess::finish(const std::function<bool()>& unwanted) {
    if (!alive())
        return {
            Answer::Kind::dead, {}, std::string(phase_of(request_.command)), "its process has ended", Ending::killed};
    if (!up_)
        if (auto ended = come_up()) return *std::move(ended);
    const auto began = Clock::now();
    auto since = began;
    auto patience = shortest_look;
    std::optional<double> used_before;
    std::uint32_t calls = control().calls.load(std::memory_order_relaxed);
    while (!answered()) {
        const std::uint32_t seen = control().answered.load(std::memory_order_acquire);
        if (seen != asked_ && seen != asked_ - 1)
            return dead(Ending::own, "wrote over what it shares with this program");
        if (seen != asked_) wait_while_equal(control().answered, seen, patience);
        if (answered()) break;
        patience = std::min(2 * patience, longest_look);
        if (!used_before) used_before = processor_time();
        if (auto ended = look(began, *used_before, calls, since)) return *std::move(ended);
        if (unwanted && unwanted()) return dead(Ending::own, "not wanted any more");
    }
    if (const auto now = Clock::now(); now >= count_again_) {
        count_again_ = now + between_counts;
        if (auto ended = look_at_process()) return *std::move(ended);
    }
    if (control().outcome == Outcome::done) return {};
    return failed_answer();
}

/// While an answer is waited for: how the worker ended, if it has to. What the worker says of its calls counts for
/// tests alone, for it can be forged; several calls of one request are asked again one by one if they take long, so
/// that each has the whole time-out, and no more.
std::optional<Answer> WorkerProcess::look(Clock::time_point began, double used_before, std::uint32_t& calls,
                                          Clock::time_point& since) {
    siginfo_t how{};
    if (has_changed(pid_, how)) return autopsy();
    check_stop();
    if (auto ended = look_at_process()) return ended;
    const double passed = seconds_since(began);
    if (calls_of(request_) > 1 && passed > slow_share * settings_.limits.timeout) {
        kill_and_reap();
        return Answer{Answer::Kind::slow, {}, std::string(phase_of(request_.command)), {}};
    }
    if (request_.command == Command::check)
        if (const auto begun = control().calls.load(std::memory_order_relaxed);
            begun != calls && passed < 2 * settings_.limits.timeout + longest_test) {
            calls = begun;
            since = Clock::now();
        }
    const double waited = seconds_since(since);
    if (waited <= settings_.limits.timeout) return std::nullopt;
    return late(processor_time() - used_before, waited);
}

/// Once the time-out has passed. A worker that waits for a processor or a disk had no chance to answer yet, and gets
/// more time for it.
std::optional<Answer> WorkerProcess::late(double used, double passed) {
    const double most = settings_.limits.timeout;
    const std::string time = fmt::format("no answer within {} s (--plugin-timeout)", most);
    const char state = process_status(watch().plugin).value_or(ProcessStatus{}).state;
    if (state == 't') return dead(Ending::stopped, "its process was held by a debugger");
    const bool waits = state == 'R' || state == 'D';
    if (!waits || used >= busy_share * most) return dead(Ending::own, time);
    if (passed < longest_wait * most) return std::nullopt;
    return dead(Ending::starved, fmt::format("{}, nor within {} s, of which its process had the processor for {:.1f} s",
                                             time, longest_wait * most, used));
}

std::optional<Answer> WorkerProcess::look_at_process() {
    const auto status = process_status(watch().plugin);
    if (!status) return std::nullopt;
    if (status->state == 'T') return dead(Ending::stopped, "its process was stopped by SIGSTOP");
    if (status->threads <= Census::most_threads) return std::nullopt;
    return dead(Ending::own, too_many_threads());
}

bool WorkerProcess::was_hit() const {
    siginfo_t how{};
    if (!alive() || has_changed(pid_, how)) return true;
    const pid_t process = watch().plugin;
    return process > 0 && process_status(process).value_or(ProcessStatus{'Z'}).state == 'T';
}

Answer WorkerProcess::failed_answer() {
    if (control().crash.load(std::memory_order_relaxed) == Crash::out_of_memory) // what it took is not given back
        return dead(Ending::own,
                    fmt::format("ran into the memory limit of {} MiB (--plugin-memory)", settings_.limits.memory));
    Answer answer{Answer::Kind::failed, text_in(control().plugin), text_in(control().at), text_in(control().cause)};
    if (answer.phase.empty()) answer.phase = phase_of(request_.command);
    return answer;
}

Answer WorkerProcess::dead(Ending ending, std::string cause) {
    kill_and_reap();
    return {Answer::Kind::dead, {}, std::string(phase_of(request_.command)), std::move(cause), ending};
}

Answer WorkerProcess::autopsy() {
    siginfo_t how{};
    has_changed(pid_, how);
    if (entry_ && entry_->was_hog) return dead(Ending::own, too_many_threads());
    if (how.si_pid == 0)
        return dead(Ending::killed, "its process ended"); // a host that ignores SIGCHLD is not told how
    if (how.si_code == CLD_EXITED)
        return dead(Ending::own, fmt::format("ended its process with exit code {}", how.si_status));
    if (how.si_code == CLD_STOPPED)
        return dead(Ending::stopped, fmt::format("its process was stopped by {}", signal_name(how.si_status)));
    return dead(is_of_a_crash(how.si_status) ? Ending::crash : Ending::killed, words_of_signal(how.si_status));
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
