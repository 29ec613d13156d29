// What a command of evictlab is. A new one is a file with a `const Command` and its line in commands.cpp.
// SPDX-License-Identifier: MIT
#pragma once
#include <boost/program_options.hpp>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace evictlab::cli {

namespace po = boost::program_options;

/// Exit codes: 0 done, 1 something failed, 2 wrong use, 130 stopped by Ctrl-C.
enum Exit : int { exit_ok = 0, exit_failure = 1, exit_usage = 2, exit_interrupted = 130 };

struct Command {
    std::string_view name;
    std::string_view summary; ///< a line in `evictlab --help`
    /// Arguments behind the command's name. May throw UsageError (exit code 2) or any std::exception (1).
    int (*run)(const std::vector<std::string>& arguments);
    /// What run() gives to parse_options(), for who reads arguments without running anything.
    po::options_description (*options)() = nullptr;
    const char* positional = "";
};

/// In the order of `evictlab --help`.
std::span<const Command> commands();

extern const Command bench_command, evolve_command, status_command, log_command, export_command, report_command,
    plugins_command, check_command, formula_command, trace_command, fitness_command, completion_command;

/// Parses options and positional arguments by `options`; `positional` names the option that takes the latter (may be
/// ""). Adds --help: if it was asked for, prints `usage`, the options and `examples`, and gives nothing.
/// Throws UsageError for anything that does not fit.
std::optional<po::variables_map> parse_options(const std::vector<std::string>& arguments,
                                               const po::options_description& options, const char* positional,
                                               std::string_view usage, std::string_view examples);

} // namespace evictlab::cli
