// A child process that lines of text are written to and read from, without ever waiting for longer than was said.
// Plain POSIX rather than Boost.Process, whose 1.74 makes its pipes without close-on-exec (a second child would hold
// the first one's input open, and it would never see its end) and forks where threads run. SPDX-License-Identifier: MIT
#pragma once
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <sys/types.h>

#include "base/error.hpp"
#include "base/input/stop_signal.hpp"

namespace evictlab {

/// Why nothing more can be had from a process, in words that fit behind its name: "was killed by signal 9 (Killed)".
struct ProcessFailure : Error {
    enum class Kind : std::uint8_t { died, silent, nonsense };
    ProcessFailure(Kind what_kind, const std::string& what) : Error(what), kind(what_kind) {}
    Kind kind;
};

/// `sh -c COMMAND` in a process group of its own (so that the terminal's Ctrl-C is the host's to pass on), with the
/// host's stderr. Not thread-safe. The destructor closes the process's stdin, and where that does not end it within
/// 0.3 s sends SIGTERM, after another 0.3 s SIGKILL; what is left of the group is killed too. SIGPIPE is kept away from
/// the host.
class LineProcess {
public:
    using Clock = std::chrono::steady_clock;
    static constexpr std::size_t line_limit = std::size_t{1} << 20; ///< bytes that a read line may have

    /// Throws Error where the system cannot start a shell. That the command is wrong shows in its death.
    explicit LineProcess(const std::string& command);
    LineProcess(const LineProcess&) = delete;
    LineProcess& operator=(const LineProcess&) = delete;
    ~LineProcess();

    /// Writes the line and a line break, never waiting: what the process does not take now goes on its way in
    /// read_line(). A process that does not read or is dead shows there.
    void send(std::string_view line);
    /// The next line, without its break. Throws ProcessFailure (death after all that it wrote was read; silence until
    /// the deadline; a longer line than the limit) or Interrupted, within 50 ms of the stop.
    std::string read_line(Clock::time_point deadline, const StopSignal& stop);

private:
    enum class Pumped : std::uint8_t { something, nothing, end };
    std::optional<std::string> buffered_line();
    Pumped pump(std::chrono::milliseconds patience);
    void flush_input();
    bool has_ended() const;
    bool ends_within(std::chrono::milliseconds patience, const StopSignal* stop = nullptr) const;
    std::string end_in_words() const;
    void signal_group(int signal) const;

    pid_t pid_ = -1; ///< not reaped before the destructor, so that neither it nor the group's number is given anew
    int input_ = -1;
    int output_ = -1;
    std::string to_write_;
    std::string read_;         ///< and not given out yet
    std::size_t searched_ = 0; ///< bytes of it without a line break
};

} // namespace evictlab
