// SPDX-License-Identifier: MIT
#include "report/leaderboard.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/text/quoting.hpp"
#include "base/text/shown.hpp"
#include "framework/protocols/protocol.hpp"
#include "framework/scorers/published.hpp"
#include "report/bench_json.hpp"
#include "report/comparison.hpp"
#include "report/footnotes.hpp"
#include "report/left_out.hpp"
#include "report/ranking.hpp"
#include "report/row_class.hpp"

namespace evictlab::report {
namespace {

bool same_errors(const SplitErrors& a, const SplitErrors& b) {
    return std::ranges::equal(a.by_retention, b.by_retention, [](double x, double y) {
        return (std::isnan(x) && std::isnan(y)) || std::abs(x - y) <= same_figure;
    });
}

bool same_figures(const ScorecardRow& a, const ScorecardRow& b) {
    const auto same_splits = [](const auto& x, const auto& y) { return std::ranges::equal(x, y, same_errors); };
    return same_splits(a.splits, b.splits) && std::ranges::equal(a.more_splits, b.more_splits, same_splits) &&
           a.uneven_budgets == b.uneven_budgets;
}

bool has_row(const Bench& bench, std::string_view scorer) {
    return std::any_of(bench.rows.begin(), bench.rows.end(), [&](const auto& row) { return row.scorer == scorer; });
}

/// Whether it was measured, and has no row for a reason that the result gives.
bool broke(const Bench& bench, std::string_view scorer) {
    return std::ranges::any_of(bench.failures, [&](const PluginError& failure) {
        return failure.plugin == scorer || failure.plugin.starts_with(fmt::format("{} (", scorer));
    });
}

/// Results of the first schema name no traces.
bool has_no_test_documents(const Bench& bench) {
    const bool named = std::ranges::any_of(bench.traces, [](const auto& traces) { return !traces.empty(); });
    if (named)
        return bench.traces[static_cast<std::size_t>(Split::test)].empty() &&
               bench.traces[static_cast<std::size_t>(Split::test_other_model)].empty();
    return std::ranges::none_of(bench.rows, [](const auto& row) { return has_figures(judging_errors(row)); });
}

/// The row that every scorer must beat; on captured suites under any preset.
std::string random_row(const Bench& bench) {
    if (!is_captured(bench)) return "random@seed";
    for (const auto& row : bench.rows)
        if (is_random(row)) return row.scorer;
    return broke(bench, "random") ? "random" : "random@seed";
}

void check(const LeaderboardInput& input) {
    for (const std::string& needed : {std::string(oracle_name), random_row(input.bench)})
        if (!has_row(input.bench, needed) && !broke(input.bench, needed))
            throw Error(
                text::line(fmt::format("{}: has no row \"{}\", which every leaderboard shows; write it again with "
                                       "`evictlab bench --suite {} --format json`",
                                       input.file, needed, text::shell_quoted(input.bench.suite))));
    if (has_no_test_documents(input.bench))
        throw Error(text::line(fmt::format("{}: the suite {} has no test documents, which a leaderboard shows",
                                           input.file, input.bench.suite)));
    if (!input.run) return;
    if (input.run->suite_hash != input.bench.suite_hash)
        throw Error(text::line(
            fmt::format("{}: the run is on the suite {} ({}), but its champion was measured on {} ({})", input.file,
                        input.run->suite, input.run->suite_hash, input.bench.suite, input.bench.suite_hash)));
    if (!has_row(input.bench, champion_label(*input.run)))
        throw Error(text::line(
            fmt::format("{}: the champion \"{}\" was not measured", input.file, champion_label(*input.run))));
}

LeaderboardTable& table_of(std::vector<LeaderboardTable>& tables, const Bench& bench) {
    const auto found = std::find_if(tables.begin(), tables.end(), [&](const LeaderboardTable& table) {
        return table.suite_hash == bench.suite_hash && table.protocol == bench.protocol &&
               table.retentions == bench.retentions && table.measure == bench.measure &&
               table.more_measures == bench.more_measures && table.cut == bench.cut;
    });
    if (found != tables.end()) return *found;
    LeaderboardTable& table = tables.emplace_back();
    table.suite = bench.suite;
    table.suite_hash = bench.suite_hash;
    table.suite_parameters_json = bench.suite_parameters_json;
    table.protocol = bench.protocol;
    table.measure = bench.measure;
    table.more_measures = bench.more_measures;
    table.retentions = bench.retentions;
    table.cut = bench.cut;
    table.captured = is_captured(bench);
    return table;
}

void merge_row(LeaderboardTable& table, const ScorecardRow& row, const LeaderboardInput& input) {
    auto& rows = table.groups[0].rows; // sorted into groups when all are there
    const auto found =
        std::find_if(rows.begin(), rows.end(), [&](const auto& known) { return known.scorecard.scorer == row.scorer; });
    if (found != rows.end() && !same_figures(found->scorecard, row))
        throw Error(text::line(
            fmt::format("{} and {}: different figures for the scorer \"{}\" on the suite {} ({}): {} and {} on "
                        "the test split; measure both with the same build, or leave one out",
                        found->sources.front(), input.file, row.scorer, table.suite, table.suite_hash,
                        test_average(found->scorecard), test_average(row))));
    LeaderboardRow& merged = found != rows.end() ? *found : rows.emplace_back();
    const auto documents = [](const ScorecardRow& r) { return judging_errors(r).by_trace.size(); };
    if (merged.sources.empty()) merged.command = bench_command(table, row);
    if (merged.sources.empty() || documents(row) > documents(merged.scorecard)) merged.scorecard = row;
    if (!merged.scorecard.cost) merged.scorecard.cost = row.cost;
    if (input.run && row.scorer == champion_label(*input.run)) merged.command = run_command(*input.run);
    if (std::find(merged.sources.begin(), merged.sources.end(), input.file) == merged.sources.end())
        merged.sources.push_back(input.file);
}

void merge(LeaderboardTable& table, const LeaderboardInput& input) {
    for (const auto& row : input.bench.rows) merge_row(table, row, input);
    for (const PluginError& failure : input.bench.failures) {
        const auto same = [&](const PluginError& known) {
            return known.plugin == failure.plugin && known.cause == failure.cause;
        };
        if (std::ranges::none_of(table.failures, same)) table.failures.push_back(failure);
    }
    if (judging_traces(table.traces).empty()) table.traces = input.bench.traces;
    for (const Split split : all_splits)
        if (auto& known = table.allowed[static_cast<std::size_t>(split)]; known.empty())
            known = input.bench.allowed[static_cast<std::size_t>(split)];
    if (table.storage.empty()) table.storage = input.bench.storage;
    if (table.kv_bytes <= 0) table.kv_bytes = input.bench.kv_bytes;
    if (table.sharing_layers.empty()) table.sharing_layers = input.bench.sharing_layers;
    const bool known =
        std::any_of(table.runs.begin(), table.runs.end(), [&](const auto& run) { return run.file == input.file; });
    if (input.run && !known) table.runs.push_back({input.file, *input.run});
}

/// The table that a verdict belongs to; `alone`, where no bench results were given, it may begin one.
LeaderboardTable& table_of(std::vector<LeaderboardTable>& tables, const VerdictInput& input, bool alone) {
    for (auto& table : tables)
        if (table.suite_hash == input.verdict.suite_hash && table.protocol == input.verdict.protocol &&
            table.cut.shape == input.verdict.cut.shape &&
            (alone || input.verdict.schedule.empty() || input.verdict.schedule == to_string(table.cut.schedule)))
            return table;
    if (alone) {
        LeaderboardTable& table = tables.emplace_back();
        table.suite = input.verdict.suite;
        table.suite_hash = input.verdict.suite_hash;
        table.protocol = input.verdict.protocol;
        table.cut.shape = input.verdict.cut.shape;
        table.captured = true;
        return table;
    }
    throw Error(text::line(fmt::format(
        "{}: suite: no bench result is of the suite {} ({}) under the protocol {}{}, so there is "
        "no table that the verdict could stand in",
        input.file, input.verdict.suite, input.verdict.suite_hash, input.verdict.protocol,
        (input.verdict.schedule.empty() ? "" : ", with the schedule " + input.verdict.schedule) +
            (input.verdict.cut.shape.usual() ? "" : ", at its shape (" + in_words(input.verdict.cut.shape) + ")"))));
}

void check_documents(const LeaderboardTable& table, const VerdictInput& input) {
    for (const Split split : all_splits) {
        const auto& known = table.traces[static_cast<std::size_t>(split)];
        if (known.empty()) continue;
        for (const auto& document : input.verdict.documents)
            if (document.split == to_string(split) &&
                std::ranges::find(known, document.name, &TraceLabel::name) == known.end() &&
                std::ranges::find(table.left_out, document.name, &TraceLabel::name) == table.left_out.end())
                throw Error(text::line(fmt::format("{}: documents: \"{}\" is not in the split {} of the suite {}",
                                                   input.file, document.name, document.split, table.suite)));
    }
}

/// Where published methods are compared.
void add_bare_names(LeaderboardTable& table, std::string_view scorer, const PluginHost& plugins) {
    const ProtocolInfo* protocol = find_protocol(table.protocol);
    if (!protocol || protocol->rules == ScorerRules::seed) return;
    for (BareName& name : bare_names(scorer, plugins))
        if (std::ranges::find(table.bare, name) == table.bare.end()) table.bare.push_back(std::move(name));
}

void add_verdict(std::vector<LeaderboardTable>& tables, const VerdictInput& input, bool alone,
                 const PluginHost& plugins) {
    LeaderboardTable& table = table_of(tables, input, alone);
    check_documents(table, input);
    const auto find_row = [&](const std::string& scorer) -> const ScorecardRow* {
        for (const RowGroup& group : table.groups)
            for (const auto& row : group.rows)
                if (row.scorecard.scorer == scorer) return &row.scorecard;
        return nullptr;
    };
    table.verdicts.push_back(summarise(input.verdict, input.file, find_row, plugins));
    for (const auto& row : table.verdicts.back().rows) add_bare_names(table, row.scorecard.scorer, plugins);
}

std::string near_ranks_of(const LeaderboardTable& table) {
    Bench merged;
    merged.storage = table.storage;
    merged.retentions = table.retentions;
    merged.traces = table.traces;
    merged.allowed = table.allowed;
    for (const RowGroup& group : table.groups)
        for (const auto& row : group.rows) merged.rows.push_back(row.scorecard);
    return near_ranks(merged);
}

void add_bench(std::vector<LeaderboardTable>& tables, LeaderboardInput input) {
    LeftOut left_out = leave_out(input.bench);
    LeaderboardTable& table = table_of(tables, input.bench);
    merge(table, input);
    if (table.left_out.empty()) table.left_out = std::move(left_out.documents);
    table.no_claims = table.no_claims || left_out.nothing_left;
}

void compare(LeaderboardTable& table, const PluginHost& plugins) {
    for (auto& row : table.groups[0].rows) {
        row.published = row.scorecard.kind == RowKind::plugin &&
                        is_published(row.scorecard.scorer, protocol_info(table.protocol).rules, plugins);
        if (!row.scorecard.scorer_class) row.scorecard.scorer_class = class_of_row(row.scorecard, plugins);
    }
    compare_rows(table);
    table.near_ranks = near_ranks_of(table);
    for (const RowGroup& group : table.groups)
        for (const auto& row : group.rows)
            if (row.scorecard.kind == RowKind::plugin) add_bare_names(table, row.scorecard.scorer, plugins);
}

} // namespace

LeaderboardTable compared(const Bench& bench, const PluginHost& plugins) {
    std::vector<LeaderboardTable> tables;
    add_bench(tables, {"", bench, std::nullopt});
    compare(tables.front(), plugins);
    return std::move(tables.front());
}

std::string champion_label(const evolution::RunSummary& run) {
    if (run.champion.genome.parameters()) return run.champion.genome.text();
    return fmt::format("champion {}", run.champion.genome.hash_text().substr(0, 8));
}

std::vector<LeaderboardTable> make_leaderboard(std::span<const LeaderboardInput> inputs,
                                               std::span<const VerdictInput> verdicts, const PluginHost& plugins) {
    std::vector<LeaderboardTable> tables;
    for (LeaderboardInput input : inputs) {
        check(input);
        add_bench(tables, std::move(input));
    }
    for (auto& table : tables) compare(table, plugins);
    for (const auto& verdict : verdicts) add_verdict(tables, verdict, inputs.empty(), plugins);
    return tables;
}

} // namespace evictlab::report
