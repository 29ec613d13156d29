// The order of the rows of a table: best first by the average error on the test split, ties sharing a rank, bounds
// without one.
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

struct RankedRow {
    const ScorecardRow* row = nullptr;
    std::optional<std::size_t> rank; ///< from 1; after two firsts comes a third; nothing for a bound
};

inline const SplitErrors& of_split(const ScorecardRow& row, Split split) {
    return row.splits[static_cast<std::size_t>(split)];
}
inline double test_average(const ScorecardRow& row) { return of_split(row, Split::test).average; }

/// The rows must outlive the result. Rows of the same figure are in the order of their names.
std::vector<RankedRow> rank_rows(std::span<const ScorecardRow> rows);
/// "1", "2", ..., or "bound".
std::string rank_text(const std::optional<std::size_t>& rank);

} // namespace evictlab::report
