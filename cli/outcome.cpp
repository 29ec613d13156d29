// SPDX-License-Identifier: MIT
#include "cli/outcome.hpp"

#include <fmt/format.h>

#include <cstring>
#include <exception>
#include <new>
#include <string>

#include "base/option_error.hpp"
#include "cli/command.hpp"
#include "cli/interrupt.hpp"
#include "cli/output.hpp"
#include "cli/search_options.hpp"
#include "framework/bench/scorecard.hpp"
#include "state/store.hpp"

namespace evictlab::cli {
namespace {

std::string_view way_on(state::StateError::Way way) {
    switch (way) {
    case state::StateError::Way::resume:
        return " (To resume it: evictlab evolve --state FILE --resume)";
    case state::StateError::Way::begin:
        return " (To start it: evictlab evolve --state FILE without --resume)";
    case state::StateError::Way::none:
        break;
    }
    return "";
}

/// The exit code of what was thrown, which is told.
int failed(std::string_view program, std::string_view spare) {
    try {
        throw;
    } catch (const Interrupted&) {
        complain("stopped", program);
        return exit_interrupted;
    } catch (const std::exception& error) {
        if (interrupted()) { // what failed did so because of it
            complain("stopped", program);
            return exit_interrupted;
        }
        if (dynamic_cast<const std::bad_alloc*>(&error) != nullptr)
            complain(fmt::format("out of memory; {}", spare), program);
        else if (const auto* option = dynamic_cast<const OptionError*>(&error))
            complain(fmt::format("--{} {}", flag_of(option->option), option->problem), program);
        else if (const auto* of_state = dynamic_cast<const state::StateError*>(&error))
            complain(std::string(error.what()) + std::string(way_on(of_state->way)), program);
        else
            complain(error.what(), program);
        return dynamic_cast<const UsageError*>(&error) != nullptr ? exit_usage : exit_failure;
    }
}

} // namespace

int outcome(std::string_view program, std::string_view spare, const std::function<int()>& run) {
    try {
        const int code = run();
        if (const int error = output_error(); error != 0)
            throw Error(fmt::format("cannot write to standard output: {}", std::strerror(error)));
        return code;
    } catch (...) {
        return failed(program, spare);
    }
}

} // namespace evictlab::cli
