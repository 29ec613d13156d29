// The order of the rows of a table: best first by the average error on the split that judges, ties sharing a rank;
// bounds, rows that keep more than was asked, and rows without finite figures have none. Rows with uniform, head,
// layer and model budgets follow one another, and those that read the prompt twice behind all others: each class is
// ranked by itself. SPDX-License-Identifier: MIT
#pragma once
#include <algorithm>
#include <array>
#include <cmath>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "framework/bench/scorecard.hpp"
#include "framework/scorers/name.hpp"
#include "report/row_class.hpp"

namespace evictlab::report {

/// Figures this close are the same: sums of the same errors in another order, or on another machine.
inline constexpr double same_figure = 1e-9;

struct RankedRow {
    const ScorecardRow* row = nullptr;
    std::optional<std::size_t> rank; ///< from 1; after two firsts comes a third; nothing for what has no rank
};

inline const SplitErrors& of_split(const ScorecardRow& row, Split split) {
    return row.splits[static_cast<std::size_t>(split)];
}
inline bool has_figures(const SplitErrors& errors) {
    return !errors.by_retention.empty() && std::isfinite(errors.average);
}
/// Whether a result shows nothing of it (report/shown_split.hpp).
inline bool is_hidden(const ScorecardRow& row, Split split) { return of_split(row, split).by_retention.empty(); }
/// The split that a table ranks and claims by: test, or test_other_model where only that has documents. Of a result
/// that shows less (report/shown_split.hpp) valid, else train.
inline Split judging_split(const ScorecardRow& row) {
    if (is_hidden(row, Split::test) && is_hidden(row, Split::test_other_model)) {
        if (!is_hidden(row, Split::valid)) return Split::valid;
        if (!is_hidden(row, Split::train)) return Split::train;
    }
    const bool other = !has_figures(of_split(row, Split::test)) && has_figures(of_split(row, Split::test_other_model));
    return other ? Split::test_other_model : Split::test;
}
/// The same of a bench or leaderboard's traces.
inline Split judging_split(const BySplit<std::vector<TraceLabel>>& traces) {
    for (const Split split : {Split::test, Split::test_other_model, Split::valid, Split::train})
        if (!traces[static_cast<std::size_t>(split)].empty()) return split;
    return Split::test;
}
inline const std::vector<TraceLabel>& judging_traces(const BySplit<std::vector<TraceLabel>>& traces) {
    return traces[static_cast<std::size_t>(judging_split(traces))];
}
/// The split that judges, as text names it: "the test split".
inline std::string judging_split_text(const BySplit<std::vector<TraceLabel>>& traces) {
    const Split split = judging_split(traces);
    if (split == Split::test_other_model) return "the split test_other_model";
    return "the " + std::string(to_string(split)) + " split";
}
/// The errors that judge.
inline const SplitErrors& judging_errors(const ScorecardRow& row) { return of_split(row, judging_split(row)); }
inline double test_average(const ScorecardRow& row) { return judging_errors(row).average; }
inline const std::vector<double>& retention_used(const ScorecardRow& row) {
    return row.retention_used[static_cast<std::size_t>(judging_split(row))];
}
/// By measure: the primary one first, then Bench::more_measures.
inline const SplitErrors& of_measure(const ScorecardRow& row, std::size_t measure, Split split) {
    return measure == 0 ? of_split(row, split) : row.more_splits.at(measure - 1)[static_cast<std::size_t>(split)];
}
inline const SplitErrors& judging_errors(const ScorecardRow& row, std::size_t measure) {
    return of_measure(row, measure, judging_split(row));
}
/// The row that every scorer must beat, under any preset.
inline bool is_random(const ScorecardRow& row) { return evictlab::is_random(row.scorer); }
/// How it divides its budget. Of results that do not say a row's class, head budgets stand for all that are uneven.
BudgetKind budget_kind(const ScorecardRow& row);
inline bool has_uneven_budgets(const ScorecardRow& row) { return budget_kind(row) != BudgetKind::uniform; }
std::string_view to_string(BudgetKind kind); ///< "uniform", "head", "layer", "model"

/// Among which rows of a table one is ranked and compared: those that divide their budgets alike and read the prompt as
/// often. Bounds, and rows of which no result says so, read it once.
struct TableClass {
    BudgetKind budgets = BudgetKind::uniform;
    bool two_passes = false;
    std::size_t index() const { return static_cast<std::size_t>(budgets) + (two_passes ? 4 : 0); }
    bool operator==(const TableClass&) const = default;
};
inline constexpr std::array<TableClass, 8> table_classes{{{BudgetKind::uniform, false},
                                                          {BudgetKind::head, false},
                                                          {BudgetKind::layer, false},
                                                          {BudgetKind::model, false},
                                                          {BudgetKind::uniform, true},
                                                          {BudgetKind::head, true},
                                                          {BudgetKind::layer, true},
                                                          {BudgetKind::model, true}}}; ///< by index()
TableClass table_class(const ScorecardRow& row);
std::string to_string(TableClass of); ///< "uniform", "head", ..., "uniform, two passes", ...
std::string in_words(TableClass of);  ///< "head budgets", "model budgets and two passes"

/// Whether a table of these rows has the column "passes".
bool any_two_passes(const auto& rows) {
    return std::ranges::any_of(rows, [](const auto& row) { return table_class(scorecard_of(row)).two_passes; });
}
bool any_uneven(const auto& rows) {
    return std::ranges::any_of(rows, [](const auto& row) { return has_uneven_budgets(scorecard_of(row)); });
}

/// Whether a row keeps over 5 % more tokens than asked for, at some of the retentions: it is shown, but neither ranked
/// nor a yardstick. Methods with rules of their own may keep all of a short prompt. `used` may be empty.
bool overshoots(std::span<const double> used, std::span<const double> asked);
/// On the split that judges; `allowed` as allowed_of() has it.
inline bool overshoots(const ScorecardRow& row, std::span<const double> allowed) {
    return overshoots(retention_used(row), allowed);
}
/// What rows of a bench or leaderboard may keep, [retention]: what was asked for, or, of caches that are cut by another
/// schedule than the usual one, what that lets them hold.
std::span<const double> allowed_of(const auto& table) {
    const std::vector<double>& by_schedule = table.allowed[static_cast<std::size_t>(judging_split(table.traces))];
    return by_schedule.empty() ? table.retentions : by_schedule;
}

/// The rows must outlive the result. Rows of the same figure are in the order of their names.
std::vector<RankedRow> rank_rows(std::span<const ScorecardRow> rows, std::span<const double> allowed);
/// Whether so many traces let rows be ranked: of captured documents enough for a claim, of those that carry one.
bool may_rank(const Bench& bench);
/// "1", "2", ..., "bound", "overshoots", or "n/a" for a row without finite figures on the split that judges.
std::string rank_text(const ScorecardRow& row, const std::optional<std::size_t>& rank);

} // namespace evictlab::report
