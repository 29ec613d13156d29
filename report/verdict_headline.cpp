// The few rows of a verdict that tell how it went, for a front page.
// SPDX-License-Identifier: MIT
#include <fmt/format.h>

#include <algorithm>

#include "base/text/quoting.hpp"
#include "report/bench_json.hpp"
#include "report/bench_table.hpp"
#include "report/cells.hpp"
#include "report/left_out.hpp"
#include "report/ranking.hpp"
#include "report/row_class.hpp"
#include "report/table.hpp"
#include "report/verdict_text.hpp"

namespace evictlab::report {
namespace {

constexpr std::size_t published_rows = 3; // at least; each that is best at some retention comes with them

bool is_best_somewhere(const VerdictTable& table, const VerdictTableRow& row) {
    const auto& best = table.best_of(TableClass{});
    return std::ranges::find(best, row.scorecard.scorer) != best.end();
}

/// Best first, as the table has them: of one pass and uniform budgets the bound, the best row of our own, published
/// ones, random; of each other class the best published row, and the best one of our own where that is ahead of it.
std::vector<const VerdictTableRow*> headline_rows(const VerdictTable& table) {
    std::vector<const VerdictTableRow*> rows;
    std::array<bool, table_classes.size()> own{};
    std::array<std::size_t, table_classes.size()> published{};
    for (const VerdictTableRow& row : table.rows) {
        const ScorecardRow& card = row.scorecard;
        const TableClass of = table_class(card);
        const bool is_method = row.rank && row.published;
        const bool is_own = row.rank && !is_random(card) && !row.published;
        const bool is_first_own = is_own && !own[of.index()];
        if (of == TableClass{} ? card.kind == RowKind::bound || is_random(card) || is_best_somewhere(table, row) ||
                                     (is_method && published[of.index()] < published_rows) || is_first_own
                               : published[of.index()] == 0 && (is_method || is_first_own))
            rows.push_back(&row);
        if (is_method) ++published[of.index()];
        own[of.index()] = own[of.index()] || is_own;
    }
    return rows;
}

std::string cell(const VerdictTable& table, const VerdictTableRow& row, std::size_t figure_index) {
    const VerdictFigure& shown = row.figures[figure_index];
    const std::string divergence = figure(shown.geometric);
    if (!shown.ratio) return divergence;
    if (row.scorecard.scorer == table.best_of(table_class(row.scorecard))[figure_index]) return divergence + " (1)";
    const std::string text = fmt::format("{} ({})", divergence, estimate_text(*shown.ratio, 2));
    return shown.win ? text + " win" : text;
}

} // namespace

std::string verdict_headline(const VerdictTable& table) {
    const std::vector<const VerdictTableRow*> rows = headline_rows(table);
    const bool classes = any_class(table.rows), others = std::ranges::any_of(rows, [](const VerdictTableRow*row) {
                                                    return table_class(row->scorecard) != TableClass{};
                                                });
    std::vector<TableColumn> columns{{"scorer", CellKind::code}};
    if (others) columns.push_back({"budgets", CellKind::text});
    if (classes) columns.push_back({"reads", CellKind::text});
    for (const double retention : table.retentions)
        columns.push_back({"KL at " + retention_key(retention), CellKind::number});
    Table out(std::move(columns));
    for (const VerdictTableRow* row : rows) {
        std::vector<std::string> cells{row->scorecard.scorer};
        if (others) cells.push_back(to_string(table_class(row->scorecard)));
        if (classes) cells.push_back(reads_text(row->scorecard));
        for (std::size_t f = 1; f <= table.retentions.size(); ++f) cells.push_back(cell(table, *row, f));
        out.add(std::move(cells));
    }
    return fmt::format(
        "{}\nKL divergence of the next-token distribution of {} from its run without eviction, geometric mean over {}, "
        "in nats a token; lower is better. In brackets the ratio to the best published row at that retention{}, with "
        "its 95 % interval over documents; \"win\" where that lies below 1. {}`oracle` is a bound.{}{}{}\n",
        out.markdown(), text::markdown_code(table.model), document_count(table.documents),
        others ? ", of those with the same budgets and as many passes" : "",
        others ? "" : "Rows with uniform budgets; ", classes ? " " : "", classes ? reads_note : "",
        table.left_out.empty() ? "" : " " + left_out_note(table.left_out, table.no_claims, LeftOutNames::counted));
}

} // namespace evictlab::report
