// SPDX-License-Identifier: MIT
#include "base/process/line_process.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>
#include <utility>

#include "base/process/spawn_plan.hpp"

extern char** environ;

namespace evictlab {
namespace {

using namespace std::chrono_literals;
using std::chrono::milliseconds;

constexpr milliseconds look_around = 50ms; ///< how often a wait looks at the stop and at the process
constexpr milliseconds grace = 300ms;      ///< between closing stdin, SIGTERM and SIGKILL
constexpr milliseconds after_output = 3s;  ///< from closing its output to its end, on a machine that is busy

[[noreturn]] void fail_start(const std::string& command, int error) {
    throw Error(fmt::format("cannot start '{}': {}", command, std::strerror(error)));
}

/// A pipe whose ends no other child gets; closed at the end of its life but for what was taken.
struct Pipe {
    int read_end = -1, write_end = -1;

    explicit Pipe(const std::string& command) {
        int ends[2];
        if (::pipe2(ends, O_CLOEXEC) != 0) fail_start(command, errno);
        read_end = ends[0];
        write_end = ends[1];
    }
    Pipe(const Pipe&) = delete;
    Pipe& operator=(const Pipe&) = delete;
    ~Pipe() {
        if (read_end >= 0) ::close(read_end);
        if (write_end >= 0) ::close(write_end);
    }
    /// One end, which the caller owns from now on and never waits at.
    static int take(int& end) {
        ::fcntl(end, F_SETFL, O_NONBLOCK);
        return std::exchange(end, -1);
    }
};

/// Blocks SIGPIPE on this thread and, at the end of its life, takes away one that came meanwhile.
class WithoutSigpipe {
public:
    WithoutSigpipe() {
        sigemptyset(&pipe_);
        sigaddset(&pipe_, SIGPIPE);
        sigset_t pending;
        sigpending(&pending);
        was_pending_ = sigismember(&pending, SIGPIPE) == 1;
        pthread_sigmask(SIG_BLOCK, &pipe_, &before_);
    }
    WithoutSigpipe(const WithoutSigpipe&) = delete;
    WithoutSigpipe& operator=(const WithoutSigpipe&) = delete;
    ~WithoutSigpipe() {
        const timespec at_once{};
        while (!was_pending_ && sigtimedwait(&pipe_, nullptr, &at_once) < 0 && errno == EINTR) {
        }
        pthread_sigmask(SIG_SETMASK, &before_, nullptr);
    }

private:
    sigset_t pipe_{}, before_{};
    bool was_pending_ = false;
};

/// "ended with exit status 3" and the like, of a process that has ended.
std::string in_words(const siginfo_t& end) {
    if (end.si_pid == 0) return "ended"; // a host that ignores SIGCHLD is not told how
    if (end.si_code != CLD_EXITED)
        return fmt::format("was killed by signal {} ({})", end.si_status, strsignal(end.si_status));
    const char* const hint = end.si_status == 127   ? " (the shell found no such command)"
                             : end.si_status == 126 ? " (the shell could not run the command)"
                                                    : "";
    return fmt::format("ended with exit status {}{}", end.si_status, hint);
}

} // namespace

LineProcess::LineProcess(const std::string& command) {
    Pipe input(command), output(command);
    SpawnPlan plan;
    plan.give(input.read_end, STDIN_FILENO);
    plan.give(output.write_end, STDOUT_FILENO);
    if (const int error = plan.start(pid_, "/bin/sh", {"sh", "-c", command}, environ); error != 0)
        fail_start(command, error);
    input_ = Pipe::take(input.write_end);
    output_ = Pipe::take(output.read_end);
}

LineProcess::~LineProcess() {
    if (input_ >= 0) ::close(input_);
    if (!ends_within(grace)) {
        signal_group(SIGTERM);
        ends_within(grace);
    }
    signal_group(SIGKILL); // also what a shell left behind that has itself ended
    ::close(output_);
    while (::waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {
    }
}

void LineProcess::send(std::string_view line) {
    to_write_.append(line) += '\n';
    flush_input();
}

void LineProcess::flush_input() {
    const WithoutSigpipe guard;
    while (input_ >= 0 && !to_write_.empty()) {
        const ssize_t count = ::write(input_, to_write_.data(), to_write_.size());
        if (count >= 0) {
            to_write_.erase(0, static_cast<std::size_t>(count));
        } else if (errno == EAGAIN) {
            return;
        } else if (errno != EINTR) { // nobody reads any more: its death or silence will tell
            ::close(std::exchange(input_, -1));
        }
    }
}

std::string LineProcess::read_line(Clock::time_point deadline, const StopSignal& stop) {
    for (;;) {
        if (auto line = buffered_line()) return *line;
        stop.check();
        const auto left = std::chrono::ceil<milliseconds>(deadline - Clock::now());
        // Looked at before its output is, so that what it wrote before its end is read first.
        const bool ended = has_ended();
        const Pumped pumped = pump(ended ? 0ms : std::clamp(left, 0ms, look_around));
        if (pumped == Pumped::something) continue;
        if (ended || (pumped == Pumped::end && ends_within(after_output, &stop)))
            throw ProcessFailure(ProcessFailure::Kind::died, end_in_words());
        if (pumped == Pumped::end) throw ProcessFailure(ProcessFailure::Kind::died, "closed its standard output");
        if (left <= 0ms) throw ProcessFailure(ProcessFailure::Kind::silent, "was silent for too long");
    }
}

std::optional<std::string> LineProcess::buffered_line() {
    const std::size_t end = read_.find('\n', searched_);
    if ((end == read_.npos ? read_.size() : end) > line_limit)
        throw ProcessFailure(ProcessFailure::Kind::nonsense,
                             fmt::format("wrote a line of more than {} bytes", line_limit));
    if (end == read_.npos) {
        searched_ = read_.size();
        return std::nullopt;
    }
    std::string line = read_.substr(0, end);
    read_.erase(0, end + 1);
    searched_ = 0;
    return line;
}

/// Lets bytes go both ways; waits for so long at most where none can.
LineProcess::Pumped LineProcess::pump(milliseconds patience) {
    std::array<pollfd, 2> polled{{{output_, POLLIN, 0}, {to_write_.empty() ? -1 : input_, POLLOUT, 0}}};
    if (::poll(polled.data(), polled.size(), static_cast<int>(patience.count())) <= 0) return Pumped::nothing;
    if (polled[1].revents != 0) flush_input();
    if (polled[0].revents == 0) return Pumped::nothing;
    std::array<char, 64 * 1024> bytes;
    const ssize_t count = ::read(output_, bytes.data(), bytes.size());
    if (count == 0) return Pumped::end;
    if (count < 0) return errno == EINTR || errno == EAGAIN ? Pumped::nothing : Pumped::end;
    read_.append(bytes.data(), static_cast<std::size_t>(count));
    return Pumped::something;
}

bool LineProcess::has_ended() const {
    siginfo_t end{};
    return ::waitid(P_PID, static_cast<id_t>(pid_), &end, WEXITED | WNOHANG | WNOWAIT) != 0 || end.si_pid == pid_;
}

bool LineProcess::ends_within(milliseconds patience, const StopSignal* stop) const {
    for (const auto deadline = Clock::now() + patience; !has_ended(); std::this_thread::sleep_for(5ms)) {
        if (stop) stop->check();
        if (Clock::now() >= deadline) return false;
    }
    return true;
}

std::string LineProcess::end_in_words() const {
    siginfo_t end{};
    ::waitid(P_PID, static_cast<id_t>(pid_), &end, WEXITED | WNOHANG | WNOWAIT);
    return in_words(end);
}

void LineProcess::signal_group(int signal) const { ::kill(-pid_, signal); }

} // namespace evictlab
