// SPDX-License-Identifier: MIT
#include <array>

#include "cli/command.hpp"

namespace evictlab::cli {

std::span<const Command> commands() {
    static const std::array all{bench_command,   evolve_command, status_command,  log_command,
                                export_command,  report_command, plugins_command, check_command,
                                formula_command, trace_command,  fitness_command, completion_command};
    return all;
}

} // namespace evictlab::cli
