// The command that measures a row again.
// SPDX-License-Identifier: MIT
#include <fmt/format.h>

#include <algorithm>
#include <cctype>

#include "report/bench_json.hpp"
#include "report/leaderboard.hpp"

namespace evictlab::report {
namespace {

/// As one word of a shell.
std::string quoted(const std::string& word) {
    const bool plain = !word.empty() && std::all_of(word.begin(), word.end(), [](unsigned char c) {
        return std::isalnum(c) || std::string_view("_@:=,./+-").find(static_cast<char>(c)) != std::string_view::npos;
    });
    if (plain && word[0] != '=') return word;
    std::string out = "'";
    for (const char c : word) out += c == '\'' ? std::string("'\\''") : std::string(1, c);
    return out + "'";
}

/// The flags that make the suite: those of its parameters that differ from the published suite of that name.
std::string suite_flags(const LeaderboardTable& table) {
    std::string text = "--suite " + quoted(table.suite);
    if (table.captured) return text;
    const auto names = suite_names();
    const bool known = std::find(names.begin(), names.end(), table.suite) != names.end();
    const Json usual = known ? Json::parse(make_suite(table.suite).parameters_json()) : Json::object();
    const Json parameters = Json::parse(table.suite_parameters_json);
    for (const std::string key : {"seq_len", "layers", "patterns", "seed_offset", "test_seed_offset"}) {
        const auto value = parameters.find(key);
        if (value == parameters.end() || (usual.contains(key) && usual[key] == *value)) continue;
        std::string flag = key;
        std::replace(flag.begin(), flag.end(), '_', '-');
        text += fmt::format(" --{} {}", flag, value->dump());
    }
    return text;
}

std::vector<double> usual_retentions(const LeaderboardTable& table) {
    if (table.protocol == "rescore") return {0.25, 0.5, 0.75};
    return {0.1, 0.25, 0.5, 0.75};
}

} // namespace

std::string bench_command(const LeaderboardTable& table, const ScorecardRow& row) {
    std::string command = "evictlab bench " + suite_flags(table);
    if (row.kind != RowKind::bound) command += " --scorers " + quoted(row.scorer);
    if (table.captured && table.protocol != "prefill") command += " --protocol " + table.protocol;
    if (table.measure == "attention_loss" && !table.more_measures.empty()) command += " --measure attention_loss";
    if (table.retentions == usual_retentions(table)) return command;
    command += " --retention ";
    for (std::size_t i = 0; i < table.retentions.size(); ++i) {
        if (i > 0) command += ',';
        command += retention_key(table.retentions[i]);
    }
    return command;
}

} // namespace evictlab::report
