// gnuplot as a child process: commands in, what it prints out. It is looked for on PATH and need not be there.
// SPDX-License-Identifier: MIT
#pragma once
#include <optional>
#include <string>

namespace evictlab::report {

/// What gnuplot prints for a script; nothing where it is not installed. Reads no start-up files of the user. Throws
/// Error with gnuplot's own words where it fails. Safe to call from any thread.
std::optional<std::string> run_gnuplot(const std::string& script);

} // namespace evictlab::report
