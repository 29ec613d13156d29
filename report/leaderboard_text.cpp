// SPDX-License-Identifier: MIT
#include "report/leaderboard_text.hpp"
#include "framework/protocols/protocol.hpp"

#include <fmt/format.h>

#include "base/output/write_file.hpp"
#include "base/text/quoting.hpp"
#include "base/text/shown.hpp"
#include "evolution/shown.hpp"
#include "report/bench_json.hpp"
#include "report/bench_table.hpp"
#include "report/captured_text.hpp"
#include "report/cells.hpp"
#include "report/ranking.hpp"
#include "report/row_class.hpp"
#include "report/run_text.hpp"
#include "report/shape.hpp"
#include "report/table.hpp"
#include "report/verdict_text.hpp"

namespace evictlab::report {
namespace {

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
    const bool classes = any_class(table.uniform().rows);
    std::vector<TableColumn> columns{{"rank", CellKind::number}, {"scorer", CellKind::code}, {"kind", CellKind::text}};
    if (classes) columns.push_back({"reads", CellKind::text});
    for (const char* figure_title : {"test", "over hybrid", "gap closed"})
        columns.push_back({figure_title, CellKind::number});
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
    for (const auto& row : table.uniform().rows) {
        std::vector<std::string> cells{rank_text(row.scorecard, row.rank), row.scorecard.scorer,
                                       std::string(to_string(row.scorecard.kind))};
        if (classes) cells.push_back(reads_text(row.scorecard));
        cells.push_back(figure(test_average(row.scorecard)));
        cells.push_back(percent(row.improvement_over_hybrid, 2));
        cells.push_back(percent(row.gap_closed.at(0).average, 2));
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
    if (!table.uniform().best_published.empty())
        best = fmt::format("\"gap closed\": share of the way from the best published row ({}) to the oracle.",
                           text::markdown_code(table.uniform().best_published));
    return "Mean share of attention lost (lower is better); a split without a retention is the mean over all of them. "
           "\"over hybrid\": error saved on the test split against `hybrid`. " +
           best + (any_class(table.uniform().rows) ? " " + std::string(reads_note) : "");
}

std::string run_line(const LeaderboardTable::Run& run) {
    const auto& summary = run.summary;
    std::string text = fmt::format("- Run {}: seed {}, from {}, {}, {} {} evaluated, {} duplicates skipped",
                                   text::markdown_code(run.file), summary.seed, text::markdown_code(summary.start),
                                   counted(summary.generation, "generation"), summary.evaluations,
                                   made_text(summary.champion.genome.parameters() != nullptr), summary.duplicates);
    if (!summary.stop_reason.empty()) text += ", stopped: " + text::markdown(summary.stop_reason);
    return text + fmt::format(". Its champion {}: {}\n", text::markdown_code(champion_label(summary)),
                              text::markdown_code(shown_text(summary.champion.genome)));
}

std::string table_to_markdown(const LeaderboardTable& table, Detail detail, std::string_view plot) {
    if (detail == Detail::headline) {
        std::string text;
        for (const auto& verdict : table.verdicts) text += verdict_headline(verdict);
        return text;
    }
    std::string text = fmt::format("### Suite {}", text::markdown_code(table.suite));
    if (table.captured) text += fmt::format(", protocol {}", text::markdown_code(table.protocol));
    text += "\n\n";
    if (!plot.empty())
        text += fmt::format("![Error against retention, one line a scorer: suite {}]({})\n\n",
                            text::markdown(table.suite), text::markdown_target(plot));
    if (const std::string cut = cut_text(table.cut, table.retentions); !cut.empty()) text += cut + "\n\n";
    if (table.captured)
        text += fmt::format("{}\n\n{}", protocol_note(table.protocol), captured_tables(table, detail));
    else
        text += fmt::format("{}\n{}\n\n{}\n", row_table(table, detail).markdown(), protocol_note(table.protocol),
                            legend(table));
    text += fmt::format("\nSuite {}, {}", text::markdown_code(table.suite), text::markdown_code(table.suite_hash));
    if (!table.suite_parameters_json.empty())
        text += fmt::format(", parameters {}", text::markdown_code(table.suite_parameters_json));
    text += ".\n";
    if (!table.failures.empty()) text += "\nWithout a row, as they broke:\n\n";
    for (const PluginError& failure : table.failures)
        text += fmt::format("- {} in `{}`: {}\n", text::markdown_code(failure.plugin), failure.phase,
                            text::markdown_code(text::line(failure.cause, 500)));
    if (!table.runs.empty()) text += '\n';
    for (const auto& run : table.runs) text += run_line(run);
    return text;
}

} // namespace

std::string protocol_note(std::string_view protocol) {
    if (const ProtocolInfo* info = find_protocol(protocol)) return std::string(info->note);
    return fmt::format("Protocol {}.", text::markdown_code(protocol));
}

std::string to_markdown(std::span<const LeaderboardTable> tables, Detail detail, std::span<const std::string> plots,
                        std::span<const EngineTable> engines) {
    std::string text = detail == Detail::whole ? "# Leaderboard\n" : "";
    for (std::size_t i = 0; i < tables.size(); ++i) {
        if (!text.empty()) text += '\n';
        text += table_to_markdown(tables[i], detail, i < plots.size() ? plots[i] : std::string());
    }
    if (detail == Detail::headline) return text;
    std::vector<VerdictTable> verdicts;
    for (const LeaderboardTable& table : tables)
        verdicts.insert(verdicts.end(), table.verdicts.begin(), table.verdicts.end());
    return text + engine_to_markdown(engines, verdicts);
}

void write_leaderboard(std::span<const LeaderboardTable> tables, const std::filesystem::path& file, Detail detail,
                       std::span<const std::string> plots, std::span<const EngineTable> engines) {
    if (file.extension() == ".md") return write_file(file, to_markdown(tables, detail, plots, engines));
    if (file.extension() == ".json") return write_file(file, dump(to_json(tables, engines)));
    throw UsageError(fmt::format("{}: a leaderboard is written as .md, .json or .html, not \"{}\"", file.string(),
                                 file.extension().string()));
}

} // namespace evictlab::report
