// SPDX-License-Identifier: MIT
#include "report/leaderboard_text.hpp"

#include <fmt/format.h>

#include "report/bench_json.hpp"
#include "report/bench_table.hpp"
#include "report/ranking.hpp"
#include "report/table.hpp"
#include "report/write_file.hpp"

namespace evictlab::report {
namespace {

std::string percent(const std::optional<double>& share) {
    return share ? fmt::format("{:+.2f} %", 100 * *share) : "n/a";
}

struct Figure {
    Split split;
    std::optional<std::size_t> retention; ///< index; nothing for the average
};

std::vector<Figure> figures(const LeaderboardTable& table, Detail detail) {
    std::vector<Figure> list;
    for (const Split split : {Split::test, Split::valid, Split::train}) {
        if (split != Split::test) list.push_back({split, std::nullopt});
        if (split != Split::test && detail == Detail::brief) continue;
        for (std::size_t i = 0; i < table.retentions.size(); ++i) list.push_back({split, i});
    }
    return list;
}

Table row_table(const LeaderboardTable& table, Detail detail) {
    std::vector<TableColumn> columns{{"rank", CellKind::number},        {"scorer", CellKind::code},
                                     {"kind", CellKind::text},          {"test", CellKind::number},
                                     {"over hybrid", CellKind::number}, {"gap closed", CellKind::number}};
    const auto shown = figures(table, detail);
    for (const auto& [split, retention] : shown) {
        std::string title(to_string(split));
        if (retention) title.append(" ").append(retention_key(table.retentions[*retention]));
        columns.push_back({std::move(title), CellKind::number});
    }
    if (detail == Detail::whole) {
        columns.push_back({"formula", CellKind::code});
        columns.push_back({"command", CellKind::code});
    }
    Table out(std::move(columns));
    for (const auto& row : table.rows) {
        std::vector<std::string> cells{rank_text(row.rank),
                                       row.scorecard.scorer,
                                       std::string(to_string(row.scorecard.kind)),
                                       figure(test_average(row.scorecard)),
                                       percent(row.improvement_over_hybrid),
                                       percent(row.gap_closed)};
        for (const auto& [split, retention] : shown) {
            const auto& errors = of_split(row.scorecard, split);
            cells.push_back(figure(retention ? errors.by_retention[*retention] : errors.average));
        }
        if (detail == Detail::whole) {
            cells.push_back(row.scorecard.formula);
            cells.push_back(row.command);
        }
        out.add(std::move(cells));
    }
    return out;
}

std::string legend(const LeaderboardTable& table) {
    std::string best = "Without a published method among the rows, there is no gap to close.";
    if (!table.best_published.empty())
        best = fmt::format("\"gap closed\": share of the way from the best published row ({}) to the oracle.",
                           markdown_code(table.best_published));
    return "Mean share of attention lost (lower is better); a split without a retention is the mean over all of them. "
           "\"over hybrid\": error saved on the test split against `hybrid`. " +
           best;
}

std::string run_line(const LeaderboardTable::Run& run) {
    const auto& summary = run.summary;
    std::string text =
        fmt::format("- Run {}: seed {}, from {}, {} generations, {} formulas evaluated, {} duplicates skipped",
                    markdown_code(run.file), summary.seed, markdown_code(summary.start), summary.generation,
                    summary.evaluations, summary.duplicates);
    if (!summary.stop_reason.empty()) text += ", stopped: " + printable(summary.stop_reason);
    return text + fmt::format(". Its champion {}: {}\n", markdown_code(champion_label(summary)),
                              markdown_code(formula::print(summary.champion.formula)));
}

std::string table_to_markdown(const LeaderboardTable& table, Detail detail) {
    std::string text = fmt::format("### Suite {}\n\n", markdown_code(table.suite));
    text += row_table(table, detail).markdown();
    text += fmt::format("\n{}\n\n{}\n", protocol_note(table.protocol), legend(table));
    text += fmt::format("\nSuite {}, {}, parameters {}.\n", markdown_code(table.suite), markdown_code(table.suite_hash),
                        markdown_code(table.suite_parameters_json));
    if (!table.runs.empty()) text += '\n';
    for (const auto& run : table.runs) text += run_line(run);
    return text;
}

Json optional_number(const std::optional<double>& value) { return value ? Json(*value) : Json(nullptr); }

Json row_to_json(const LeaderboardTable& table, const LeaderboardRow& row) {
    Json json{{"rank", row.rank ? Json(*row.rank) : Json(nullptr)},
              {"scorer", row.scorecard.scorer},
              {"kind", to_string(row.scorecard.kind)}};
    for (const Split split : all_splits)
        json["splits"][std::string(to_string(split))] = to_json(of_split(row.scorecard, split), table.retentions);
    json["improvement_over_hybrid"] = optional_number(row.improvement_over_hybrid);
    json["gap_closed"] = optional_number(row.gap_closed);
    if (!row.scorecard.formula.empty()) json["formula"] = row.scorecard.formula;
    json["command"] = row.command;
    json["sources"] = row.sources;
    return json;
}

Json run_to_json(const LeaderboardTable::Run& run) {
    const auto& summary = run.summary;
    return {{"file", run.file},
            {"seed", summary.seed},
            {"start", summary.start},
            {"generations", summary.generation},
            {"evaluations", summary.evaluations},
            {"duplicates", summary.duplicates},
            {"stop_reason", summary.stop_reason},
            {"champion", champion_label(summary)},
            {"formula", formula::print(summary.champion.formula)},
            {"command", summary.command}};
}

Json table_to_json(const LeaderboardTable& table) {
    Json json{{"suite", suite_to_json(table.suite, table.suite_hash, table.suite_parameters_json)},
              {"protocol", table.protocol},
              {"note", protocol_note(table.protocol)},
              {"retentions", table.retentions},
              {"best_published", table.best_published.empty() ? Json(nullptr) : Json(table.best_published)},
              {"rows", Json::array()},
              {"runs", Json::array()}};
    for (const auto& row : table.rows) json["rows"].push_back(row_to_json(table, row));
    for (const auto& run : table.runs) json["runs"].push_back(run_to_json(run));
    return json;
}

} // namespace

std::string protocol_note(std::string_view protocol) {
    if (protocol == "rescore")
        return "Protocol `rescore`: a scorer sees the statistics of every token up to and including the query that it "
               "is "
               "then judged on, and an evicted token may come back at the next query.";
    return fmt::format("Protocol {}.", markdown_code(protocol));
}

std::string to_markdown(std::span<const LeaderboardTable> tables, Detail detail) {
    std::string text = detail == Detail::whole ? "# Leaderboard\n" : "";
    for (const auto& table : tables) {
        if (!text.empty()) text += '\n';
        text += table_to_markdown(table, detail);
    }
    return text;
}

Json to_json(std::span<const LeaderboardTable> tables) {
    Json json{{"schema", leaderboard_schema}, {"suites", Json::array()}};
    for (const auto& table : tables) json["suites"].push_back(table_to_json(table));
    return json;
}

void write_leaderboard(std::span<const LeaderboardTable> tables, const std::filesystem::path& file, Detail detail) {
    if (file.extension() == ".md") return write_file(file, to_markdown(tables, detail));
    if (file.extension() == ".json") return write_file(file, dump(to_json(tables)));
    throw UsageError(fmt::format("{}: a leaderboard is written as .md or .json, not \"{}\"", file.string(),
                                 file.extension().string()));
}

} // namespace evictlab::report
