// SPDX-License-Identifier: MIT
#include "report/captured_text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "base/text/quoting.hpp"
#include "report/bench_json.hpp"
#include "report/bench_notes.hpp"
#include "report/bench_table.hpp"
#include "report/captured_legend.hpp"
#include "report/cells.hpp"
#include "report/comparison.hpp"
#include "report/ranking.hpp"
#include "report/row_class.hpp"
#include "report/row_cost.hpp"
#include "report/table.hpp"
#include "report/verdict_text.hpp"

namespace evictlab::report {
namespace {

std::string measure_of(const LeaderboardTable& table, std::size_t m) {
    return measure_title(m == 0 ? table.measure : table.more_measures[m - 1]);
}

std::vector<TableColumn> row_columns(const LeaderboardTable& table, const RowGroup& group, bool classes, bool used) {
    std::vector<TableColumn> columns{{"rank", CellKind::number}, {"scorer", CellKind::code}};
    if (classes) columns.push_back({"reads", CellKind::text});
    columns.push_back({measure_of(table, 0), CellKind::number});
    columns.push_back({"against best published", CellKind::number});
    if (shows_one_pass(group)) columns.push_back({"against one pass", CellKind::number});
    for (std::size_t m = 0; m <= table.more_measures.size(); ++m)
        columns.push_back({"gap closed: " + measure_of(table, m), CellKind::number});
    for (const auto& verdict : table.verdicts) columns.push_back({"KL, " + verdict.model, CellKind::number});
    for (std::size_t m = 0; m <= table.more_measures.size(); ++m)
        for (const double retention : table.retentions)
            columns.push_back({fmt::format("{} {}", measure_of(table, m), retention_key(retention)), CellKind::number});
    for (std::size_t m = 0; shows_other_model(table) && m <= table.more_measures.size(); ++m) {
        const std::string title = measure_of(table, m) + ", other model";
        columns.push_back({title, CellKind::number});
        for (const double retention : table.retentions)
            columns.push_back({fmt::format("{} {}", title, retention_key(retention)), CellKind::number});
    }
    if (any_cost(group.rows)) columns.push_back({"us", CellKind::number});
    if (used) columns.push_back({"retention used", CellKind::text});
    return columns;
}

Table row_table(const LeaderboardTable& table, const RowGroup& group) {
    const bool classes = any_class(group.rows), used = shows_retention_used(table, group);
    Table out(row_columns(table, group, classes, used));
    for (const auto& row : group.rows) {
        std::vector<std::string> cells{rank_text(row.scorecard, row.rank), row.scorecard.scorer};
        if (classes) cells.push_back(reads_text(row.scorecard));
        cells.push_back(estimate_text(row.test));
        cells.push_back(row.difference ? estimate_text(*row.difference, 4, true) : "n/a");
        if (row.scorecard.scorer == group.best_published) cells.back() = "best published";
        if (row.win) cells.back() += " win";
        if (shows_one_pass(group))
            cells.push_back(row.from_one_pass ? estimate_text(*row.from_one_pass, 4, true) : "n/a");
        for (const auto& gap : row.gap_closed) cells.push_back(percent(gap.average, 1));
        for (const auto& verdict : table.verdicts) cells.push_back(verdict_cell(verdict, row.scorecard.scorer));
        for (std::size_t m = 0; m <= table.more_measures.size(); ++m)
            for (const double error : judging_errors(row.scorecard, m).by_retention) cells.push_back(figure(error));
        for (std::size_t m = 0; shows_other_model(table) && m <= table.more_measures.size(); ++m) {
            const SplitErrors& errors = of_measure(row.scorecard, m, Split::test_other_model);
            cells.push_back(figure(errors.average));
            for (std::size_t r = 0; r < table.retentions.size(); ++r)
                cells.push_back(figure(has_figures(errors) ? errors.by_retention[r] : errors.average));
        }
        if (any_cost(group.rows)) cells.push_back(cost_text(row.scorecard));
        if (used) cells.push_back(used_text(table, row.scorecard));
        out.add(std::move(cells));
    }
    return out;
}

template <typename AddRow>
void for_each_row(const LeaderboardTable& table, AddRow add) {
    for (const RowGroup& group : table.groups)
        for (const auto& row : group.rows) add(row);
}

Table kind_table(const LeaderboardTable& table) {
    const auto kinds = document_kinds(table);
    std::vector<TableColumn> columns{{"scorer", CellKind::code}};
    for (const auto& kind : kinds)
        columns.push_back({fmt::format("{} ({})", kind.name.empty() ? "no kind" : kind.name, kind.documents.size()),
                           CellKind::number});
    Table out(std::move(columns));
    for_each_row(table, [&](const LeaderboardRow& row) {
        std::vector<std::string> cells{row.scorecard.scorer};
        for (const auto& kind : kinds) cells.push_back(figure(kind_average(judging_errors(row.scorecard), kind)));
        out.add(std::move(cells));
    });
    return out;
}

Table gap_table(const LeaderboardTable& table) {
    std::vector<TableColumn> columns{{"scorer", CellKind::code}};
    for (std::size_t m = 0; m <= table.more_measures.size(); ++m)
        for (const double retention : table.retentions)
            columns.push_back({fmt::format("{} {}", measure_of(table, m), retention_key(retention)), CellKind::number});
    Table out(std::move(columns));
    for_each_row(table, [&](const LeaderboardRow& row) {
        std::vector<std::string> cells{row.scorecard.scorer};
        for (const auto& gap : row.gap_closed)
            for (const auto& share : gap.by_retention) cells.push_back(percent(share, 1));
        out.add(std::move(cells));
    });
    return out;
}

/// What the table of ranks has no room for.
Table origin_table(const LeaderboardTable& table) {
    Table out({{"scorer", CellKind::code},
               {"kind", CellKind::text},
               {"valid", CellKind::number},
               {"train", CellKind::number},
               {"formula", CellKind::code},
               {"command", CellKind::code}});
    for_each_row(table, [&](const LeaderboardRow& row) {
        const auto average = [&](Split split) { return figure(of_split(row.scorecard, split).average); };
        out.add({row.scorecard.scorer, std::string(to_string(row.scorecard.kind)), average(Split::valid),
                 average(Split::train), row.scorecard.formula, row.command});
    });
    return out;
}

std::string_view compared_with(BudgetKind kind) {
    switch (kind) {
    case BudgetKind::uniform:
        return "compared with each other, and with the oracle";
    case BudgetKind::head:
        return "compared with each other, and with the oracle of a whole layer";
    case BudgetKind::layer:
        return "layers keep different numbers of tokens; compared with each other";
    case BudgetKind::model:
        break;
    }
    return "compared with each other, and with the oracle of the whole model";
}

bool competes(const RowGroup& group) {
    return std::ranges::any_of(group.rows, [](const auto& row) { return row.rank.has_value(); });
}

} // namespace

std::vector<DocumentKind> document_kinds(const LeaderboardTable& table) {
    const auto& traces = judging_traces(table.traces);
    std::vector<DocumentKind> kinds;
    for (std::size_t i = 0; i < traces.size(); ++i) {
        auto found = std::ranges::find(kinds, traces[i].kind, &DocumentKind::name);
        if (found == kinds.end()) found = kinds.insert(kinds.end(), {traces[i].kind, {}});
        found->documents.push_back(i);
    }
    return kinds;
}

double kind_average(const SplitErrors& errors, const DocumentKind& kind) {
    if (!has_figures(errors)) return std::numeric_limits<double>::quiet_NaN();
    const auto averages = document_averages(errors);
    double sum = 0;
    for (const std::size_t document : kind.documents) sum += averages.at(document);
    return sum / static_cast<double>(kind.documents.size());
}

std::string captured_tables(const LeaderboardTable& table, Detail detail) {
    std::string text;
    if (table.uniform().rows.empty()) { // a verdict alone
        for (const auto& verdict : table.verdicts) text += verdict_to_markdown(verdict, detail);
        if (!table.bare.empty()) text += fmt::format("\n{}\n", bare_names_text(table.bare, text::markdown_code));
        return text;
    }
    text = row_table(table, table.uniform()).markdown();
    for (const TableClass each : table_classes) {
        if (each == TableClass{} || !competes(table.of(each))) continue;
        text += fmt::format("\nWith {} ({}):\n\n", in_words(each), compared_with(each.budgets));
        text += row_table(table, table.of(each)).markdown();
    }
    text += "\n" + captured_legend(table);
    for (const auto& verdict : table.verdicts) text += "\n" + verdict_to_markdown(verdict, detail);
    const auto add = [&](std::string title, const Table& more) {
        text += '\n';
        text += detail == Detail::brief ? folded(title, more.markdown())
                                        : fmt::format("#### {}\n\n{}", title, more.markdown());
    };
    if (has_documents(table))
        add(fmt::format("By kind of document: {}, mean over the retentions", measure_of(table, 0)), kind_table(table));
    add("Share of the gap closed at each retention", gap_table(table));
    if (detail == Detail::whole) add("Other splits, formulas and commands", origin_table(table));
    return text;
}

} // namespace evictlab::report
