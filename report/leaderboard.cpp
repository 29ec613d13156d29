// SPDX-License-Identifier: MIT
#include "report/leaderboard.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cmath>

#include "framework/evaluation/protocol.hpp"
#include "report/bench_json.hpp"
#include "report/ranking.hpp"

namespace evictlab::report {
namespace {

constexpr std::array<std::string_view, 6> published{"streaming_llm", "h2o", "snapkv", "pyramidkv", "knorm", "tova"};

bool same_errors(const SplitErrors& a, const SplitErrors& b) {
    return std::equal(a.by_retention.begin(), a.by_retention.end(), b.by_retention.begin(), b.by_retention.end(),
                      [](double x, double y) { return std::abs(x - y) <= same_figure; });
}

bool same_figures(const ScorecardRow& a, const ScorecardRow& b) {
    return std::equal(a.splits.begin(), a.splits.end(), b.splits.begin(), same_errors);
}

bool has_row(const Bench& bench, std::string_view scorer) {
    return std::any_of(bench.rows.begin(), bench.rows.end(), [&](const auto& row) { return row.scorer == scorer; });
}

void check(const LeaderboardInput& input) {
    for (const std::string_view needed : {"oracle", "random@seed"})
        if (!has_row(input.bench, needed))
            throw Error(fmt::format("{}: has no row \"{}\", which every leaderboard shows; write it again with "
                                    "`evictlab bench --suite {} --format json`",
                                    input.file, needed, input.bench.suite));
    if (!input.run) return;
    if (input.run->suite_hash != input.bench.suite_hash)
        throw Error(fmt::format("{}: the run is on the suite {} ({}), but its champion was measured on {} ({})",
                                input.file, input.run->suite, input.run->suite_hash, input.bench.suite,
                                input.bench.suite_hash));
    if (!has_row(input.bench, champion_label(*input.run)))
        throw Error(fmt::format("{}: the champion \"{}\" was not measured", input.file, champion_label(*input.run)));
}

LeaderboardTable& table_of(std::vector<LeaderboardTable>& tables, const Bench& bench) {
    const auto found = std::find_if(tables.begin(), tables.end(), [&](const LeaderboardTable& table) {
        return table.suite_hash == bench.suite_hash && table.protocol == bench.protocol &&
               table.retentions == bench.retentions;
    });
    if (found != tables.end()) return *found;
    return tables.emplace_back(LeaderboardTable{
        bench.suite, bench.suite_hash, bench.suite_parameters_json, bench.protocol, bench.retentions, {}, {}, {}});
}

void merge_row(LeaderboardTable& table, const ScorecardRow& row, const LeaderboardInput& input) {
    const auto found = std::find_if(table.rows.begin(), table.rows.end(),
                                    [&](const auto& known) { return known.scorecard.scorer == row.scorer; });
    if (found != table.rows.end() && !same_figures(found->scorecard, row))
        throw Error(fmt::format("{} and {}: different figures for the scorer \"{}\" on the suite {} ({}): {} and {} on "
                                "the test split; measure both with the same build, or leave one out",
                                found->sources.front(), input.file, row.scorer, table.suite, table.suite_hash,
                                test_average(found->scorecard), test_average(row)));
    LeaderboardRow& merged = found != table.rows.end() ? *found : table.rows.emplace_back();
    if (merged.sources.empty()) {
        merged.scorecard = row;
        merged.command = bench_command(table, row);
    }
    if (input.run && row.scorer == champion_label(*input.run)) merged.command = input.run->command;
    if (std::find(merged.sources.begin(), merged.sources.end(), input.file) == merged.sources.end())
        merged.sources.push_back(input.file);
}

void merge(LeaderboardTable& table, const LeaderboardInput& input) {
    for (const auto& row : input.bench.rows) merge_row(table, row, input);
    const bool known =
        std::any_of(table.runs.begin(), table.runs.end(), [&](const auto& run) { return run.file == input.file; });
    if (input.run && !known) table.runs.push_back({input.file, *input.run});
}

void put_in_order(LeaderboardTable& table) {
    std::vector<ScorecardRow> scorecards;
    for (const auto& row : table.rows) scorecards.push_back(row.scorecard);
    std::vector<LeaderboardRow> ordered;
    for (const auto& [scorecard, rank] : rank_rows(scorecards)) {
        ordered.push_back(table.rows[static_cast<std::size_t>(scorecard - scorecards.data())]);
        ordered.back().rank = rank;
    }
    table.rows = std::move(ordered);
}

/// The first row, in order, of those that `chosen` picks: the best of them.
template <typename Chosen>
const ScorecardRow* best_row(const LeaderboardTable& table, Chosen chosen) {
    for (const auto& row : table.rows)
        if (chosen(row.scorecard)) return &row.scorecard;
    return nullptr;
}

void compare(LeaderboardTable& table) {
    const auto* hybrid =
        best_row(table, [](const auto& row) { return row.scorer == "hybrid" || row.scorer == "hybrid@seed"; });
    const auto* best_published = best_row(table, is_published);
    const auto* oracle = best_row(table, [](const auto& row) { return row.scorer == "oracle"; });
    if (best_published) table.best_published = best_published->scorer;
    for (auto& row : table.rows) {
        const double error = test_average(row.scorecard);
        if (hybrid && test_average(*hybrid) > 0)
            row.improvement_over_hybrid = (test_average(*hybrid) - error) / test_average(*hybrid);
        if (!best_published) continue;
        const double gap = test_average(*best_published) - test_average(*oracle);
        if (gap > 0) row.gap_closed = (test_average(*best_published) - error) / gap;
    }
}

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
    const Json usual =
        is_synthetic_suite(table.suite) ? Json::parse(make_suite(table.suite).parameters_json()) : Json::object();
    const Json parameters = Json::parse(table.suite_parameters_json);
    const auto folder = parameters.find("folder");
    const bool by_folder = folder != parameters.end() && folder->is_string();
    std::string text = "--suite " + quoted(by_folder ? folder->get<std::string>() : table.suite);
    for (const std::string key : {"seq_len", "layers", "patterns", "seed_offset", "test_seed_offset"}) {
        const auto value = parameters.find(key);
        if (value == parameters.end() || (usual.contains(key) && usual[key] == *value)) continue;
        std::string flag = key;
        std::replace(flag.begin(), flag.end(), '_', '-');
        text += fmt::format(" --{} {}", flag, value->dump());
    }
    if (const auto sliding = parameters.find("sliding_layers"); sliding != parameters.end() && *sliding == true)
        text += " --sliding-layers";
    return text;
}

} // namespace

std::string champion_label(const evolution::RunSummary& run) {
    return fmt::format("champion {}", run.champion.hash.substr(0, 8));
}

bool is_published(const ScorecardRow& row) {
    if (row.kind != RowKind::plugin || row.scorer.find(':') != std::string::npos) return false;
    const auto id = std::string_view(row.scorer).substr(0, row.scorer.find('@'));
    return std::find(published.begin(), published.end(), id) != published.end();
}

std::string bench_command(const LeaderboardTable& table, const ScorecardRow& row) {
    std::string command = "evictlab bench " + suite_flags(table);
    if (row.kind != RowKind::bound) command += " --scorers " + quoted(row.scorer);
    if (table.retentions == usual_retentions(table.protocol)) return command;
    command += " --retention ";
    for (std::size_t i = 0; i < table.retentions.size(); ++i) {
        if (i > 0) command += ',';
        command += retention_key(table.retentions[i]);
    }
    return command;
}

std::vector<LeaderboardTable> make_leaderboard(std::span<const LeaderboardInput> inputs) {
    std::vector<LeaderboardTable> tables;
    for (const auto& input : inputs) {
        check(input);
        merge(table_of(tables, input.bench), input);
    }
    for (auto& table : tables) {
        put_in_order(table);
        compare(table);
    }
    return tables;
}

} // namespace evictlab::report
