// How a run is getting on, or got on: what `evictlab status` says. SPDX-License-Identifier: MIT
#pragma once
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "evolution/run_state.hpp"
#include "evolution/setup.hpp"
#include "evolution/yardsticks.hpp"
#include "report/spark_line.hpp"
#include "state/store.hpp"

namespace evictlab::report {

/// What a judge or proposer did in a run.
struct ExternalStatus {
    std::string command;
    std::size_t answers = 0;
    std::string lost; ///< why the judge was lost; "" while it is not
};

struct RunStatus {
    std::string file;
    evolution::RunSetup setup;
    evolution::RunState state;           ///< after the last saved generation
    std::optional<state::Holder> holder; ///< the process that has it open
    bool running = false;                ///< held, and not at its end
    std::optional<ExternalStatus> judge, proposer;
    std::optional<double> seconds_left;              ///< to the nearest limit, while it runs
    std::optional<evolution::Yardsticks> yardsticks; ///< as the run measured them, where it kept them
};

/// Locks nothing; safe while a process saves. Throws state::StateError (none, damaged, other schema, no generation yet)
/// or Error (not a run).
RunStatus read_status(const std::filesystem::path& state_file);

/// Lines for people, of at most `width` columns where that is given.
std::string to_text(const RunStatus& status, Glyphs glyphs, std::optional<std::size_t> width = {});
/// {"schema": "evictlab-status/1", ...}, described in docs/evolution.md.
nlohmann::ordered_json to_json(const RunStatus& status);

} // namespace evictlab::report
