// The other side of a protocol of JSON Lines: a process that introduces itself with its first line and then answers
// requests, one object a line. docs/verdict.md and docs/proposers.md define the protocols. SPDX-License-Identifier: MIT
#pragma once
#include <chrono>
#include <span>
#include <string>
#include <string_view>

#include "base/json/json_field.hpp"
#include "base/process/line_process.hpp"

namespace evictlab::evolution {

/// Not thread-safe. Every failure of the process is a ProcessFailure; Interrupted where the stop asks for it.
class JsonProcess {
public:
    /// Starts the command and waits for its introduction, an object with one of these for "protocol": the name of
    /// today, and those that it had.
    JsonProcess(const std::string& command, std::span<const std::string_view> protocols,
                std::chrono::milliseconds timeout, const StopSignal& stop);

    const Json& introduction() const { return introduction_; }
    void send(const Json& request);
    /// Of what is asked now.
    LineProcess::Clock::time_point deadline() const { return LineProcess::Clock::now() + timeout_; }
    std::string receive_line(LineProcess::Clock::time_point deadline, const StopSignal& stop);
    /// The next line as an object, within the timeout from now; nonsense where it is none.
    Json receive(const StopSignal& stop);

private:
    std::chrono::milliseconds timeout_;
    LineProcess process_;
    Json introduction_;
};

/// An object from a line; ProcessFailure (nonsense) that shows the line where it is none.
Json object_from_line(const std::string& line);

/// Characters of what others wrote that journals and messages keep (text::sentence).
inline constexpr std::size_t words_shown = 500;

} // namespace evictlab::evolution
