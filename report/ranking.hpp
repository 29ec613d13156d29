// The order of the rows of a table: best first by the average error on the test split, ties sharing a rank, bounds and
// rows that keep more than was asked without one. Rows with head or layer budgets are ranked among themselves, behind.
// SPDX-License-Identifier: MIT
#pragma once
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "framework/evaluation/scorecard.hpp"

namespace evictlab::report {

/// Figures this close are the same: sums of the same errors in another order, or on another machine.
inline constexpr double same_figure = 1e-9;

inline constexpr std::string_view oracle_name = "oracle";
/// The bound of rows whose heads keep different numbers of tokens: the best of a whole layer.
inline constexpr std::string_view layer_oracle_name = "oracle (layer budget)";

struct RankedRow {
    const ScorecardRow* row = nullptr;
    std::optional<std::size_t> rank; ///< from 1; after two firsts comes a third; nothing for what has no rank
};

inline const SplitErrors& of_split(const ScorecardRow& row, Split split) {
    return row.splits[static_cast<std::size_t>(split)];
}
inline double test_average(const ScorecardRow& row) { return of_split(row, Split::test).average; }
/// By measure: the primary one first, then Bench::more_measures.
inline const SplitErrors& of_measure(const ScorecardRow& row, std::size_t measure, Split split) {
    return measure == 0 ? of_split(row, split) : row.more_splits.at(measure - 1)[static_cast<std::size_t>(split)];
}
/// Whether it is ranked among the rows with head or layer budgets.
inline bool has_uneven_budgets(const ScorecardRow& row) {
    return row.uneven_budgets || row.scorer == layer_oracle_name;
}

/// Whether a row keeps over 5 % more tokens than asked for, at some of the retentions: it is shown, but neither ranked
/// nor a yardstick. Methods with rules of their own may keep all of a short prompt. `used` may be empty.
bool overshoots(std::span<const double> used, std::span<const double> asked);
/// On the test split.
inline bool overshoots(const ScorecardRow& row, std::span<const double> retentions) {
    return overshoots(row.retention_used[static_cast<std::size_t>(Split::test)], retentions);
}

/// The rows must outlive the result. Rows of the same figure are in the order of their names.
std::vector<RankedRow> rank_rows(std::span<const ScorecardRow> rows, std::span<const double> retentions);
/// "1", "2", ..., "bound", or "overshoots".
std::string rank_text(const ScorecardRow& row, const std::optional<std::size_t>& rank);

} // namespace evictlab::report
