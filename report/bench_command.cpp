// The command that measures a row again.
// SPDX-License-Identifier: MIT
#include <fmt/format.h>

#include <algorithm>

#include "base/text/quoting.hpp"
#include "framework/capture/suites.hpp"
#include "framework/protocols/protocol.hpp"
#include "report/bench_json.hpp"
#include "report/leaderboard.hpp"
#include "report/shape.hpp"

namespace evictlab::report {
namespace {

/// The flags that make the suite: those of its parameters that differ from the published suite of that name.
std::string suite_flags(const LeaderboardTable& table) {
    const Json usual =
        is_synthetic_suite(table.suite) ? Json::parse(make_suite(table.suite).parameters_json()) : Json::object();
    const Json parameters = Json::parse(table.suite_parameters_json);
    const auto folder = parameters.find("folder");
    const bool by_folder = folder != parameters.end() && folder->is_string();
    std::string text = "--suite " + text::shell_quoted(by_folder ? folder->get<std::string>() : table.suite);
    for (const std::string key : {"seq_len", "layers", "patterns", "seed_offset", "test_seed_offset"}) {
        const auto value = parameters.find(key);
        if (value == parameters.end() || (usual.contains(key) && usual[key] == *value)) continue;
        std::string flag = key;
        std::replace(flag.begin(), flag.end(), '_', '-');
        text += fmt::format(" --{} {}", flag, text::shell_quoted(value->dump()));
    }
    if (const auto sliding = parameters.find("sliding_layers"); sliding != parameters.end() && *sliding == true)
        text += " --sliding-layers";
    if (const auto calibration = parameters.find("calibration");
        calibration != parameters.end() && calibration->is_string())
        text += " --calibration " + text::shell_quoted(calibration->get<std::string>());
    return text;
}

} // namespace

std::string bench_command(const LeaderboardTable& table, const ScorecardRow& row) {
    std::string command = "evictlab bench " + suite_flags(table);
    const bool of_file = row.kind == RowKind::formula && !row.formula.empty() && !row.scorer.starts_with('=');
    if (row.kind != RowKind::bound)
        command += " --scorers " + text::shell_quoted(of_file ? '=' + row.formula : row.scorer);
    if (table.captured && table.protocol != usual_protocol(table.captured))
        command += " --protocol " + text::shell_quoted(table.protocol);
    if (table.measure == "attention_loss" && !table.more_measures.empty()) command += " --measure attention_loss";
    command += cut_options(table.cut) + " --split test"; // which is what a report shows
    if (!table.cut.keep.empty() || table.retentions == usual_retentions(table.protocol)) return command;
    command += " --retention ";
    for (std::size_t i = 0; i < table.retentions.size(); ++i) {
        if (i > 0) command += ',';
        command += retention_key(table.retentions[i]);
    }
    return command;
}

std::string run_command(const evolution::RunSummary& run) {
    return fmt::format("{} --generations {} --state repeated.json", run.command, run.generation);
}

} // namespace evictlab::report
