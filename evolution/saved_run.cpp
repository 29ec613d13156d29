// Reading a saved run for a report.
// SPDX-License-Identifier: MIT
#include <fmt/format.h>

#include "evolution/run_state.hpp"
#include "evolution/setup.hpp"
#include "state/store.hpp"

namespace evictlab::evolution {

RunSummary read_run(const std::filesystem::path& state_file) {
    const Json json = state::read_state(state_file);
    const std::string name = state_file.string();
    const JsonField content(json, name);
    const RunSetup setup = saved_setup(content);
    RunState state = state_from_json(content);
    RunSummary summary;
    summary.suite = setup.identity.suite;
    summary.suite_hash = setup.identity.suite_hash;
    summary.suite_parameters_json = setup.identity.suite_parameters_json;
    summary.retentions = content.member("retentions").numbers();
    summary.seed = setup.config.seed;
    summary.generation = state.generation;
    summary.evaluations = state.counters.evaluations;
    summary.duplicates = state.counters.duplicates;
    summary.start = setup.config.start;
    summary.stop_reason = state.stop_reason;
    summary.command =
        fmt::format("{} --generations {} --state repeated.json", setup.identity.command, summary.generation);
    summary.champion = state.champion();
    summary.champions = std::move(state.champions);
    return summary;
}

} // namespace evictlab::evolution
