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
    return std::ranges::find(table.best_published, row.scorecard.scorer) != table.best_published.end();
}

/// Best first, as the table has them: the bound, the best row of our own, published ones, random.
std::vector<const VerdictTableRow*> headline_rows(const VerdictTable& table) {
    std::vector<const VerdictTableRow*> rows;
    bool own = false;
    std::size_t published = 0;
    for (const VerdictTableRow& row : table.rows) {
        const ScorecardRow& card = row.scorecard;
        if (has_uneven_budgets(card)) continue;
        const bool is_method = row.rank && row.published;
        const bool is_own = row.rank && !is_random(card) && !row.published;
        if (card.kind == RowKind::bound || is_random(card) || is_best_somewhere(table, row) ||
            (is_method && published < published_rows) || (is_own && !own))
            rows.push_back(&row);
        if (is_method) ++published;
        own = own || is_own;
    }
    return rows;
}

std::string cell(const VerdictTable& table, const VerdictTableRow& row, std::size_t figure_index) {
    const VerdictFigure& shown = row.figures[figure_index];
    const std::string divergence = figure(shown.geometric);
    if (!shown.ratio) return divergence;
    if (row.scorecard.scorer == table.best_published[figure_index]) return divergence + " (1)";
    const std::string text = fmt::format("{} ({})", divergence, estimate_text(*shown.ratio, 2));
    return shown.win ? text + " win" : text;
}

} // namespace

std::string verdict_headline(const VerdictTable& table) {
    const bool classes = any_class(table.rows);
    std::vector<TableColumn> columns{{"scorer", CellKind::code}};
    if (classes) columns.push_back({"reads", CellKind::text});
    for (const double retention : table.retentions)
        columns.push_back({"KL at " + retention_key(retention), CellKind::number});
    Table out(std::move(columns));
    for (const VerdictTableRow* row : headline_rows(table)) {
        std::vector<std::string> cells{row->scorecard.scorer};
        if (classes) cells.push_back(reads_text(row->scorecard));
        for (std::size_t f = 1; f <= table.retentions.size(); ++f) cells.push_back(cell(table, *row, f));
        out.add(std::move(cells));
    }
    return fmt::format(
        "{}\nKL divergence of the next-token distribution of {} from its run without eviction, geometric mean over {}, "
        "in nats a token; lower is better. In brackets the ratio to the best published row at that retention, with "
        "its 95 % interval over documents; \"win\" where that lies below 1. Rows with uniform budgets; `oracle` is a "
        "bound.{}{}{}\n",
        out.markdown(), text::markdown_code(table.model), document_count(table.documents), classes ? " " : "",
        classes ? reads_note : "", table.left_out.empty() ? "" : " " + left_out_note(table.left_out, table.no_claims));
}

} // namespace evictlab::report
