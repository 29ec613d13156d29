// What a row's scoring takes (framework/bench/scorecard.hpp) in results and tables.
// SPDX-License-Identifier: MIT
#pragma once
#include <algorithm>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/json/json_field.hpp"
#include "framework/bench/scorecard.hpp"
#include "report/row_class.hpp"

namespace evictlab::report {

/// {"microseconds": 0.31, "measured_on": "..."}: docs/report.md.
Json to_json(const ScoringCost& cost);
/// Error with file, field and what was expected.
ScoringCost read_cost(const JsonField& field);

inline constexpr const char* cost_title = "us"; ///< of the column

/// Whether a table of these rows has the column "us".
bool any_cost(const auto& rows) {
    return std::ranges::any_of(rows, [](const auto& row) { return scorecard_of(row).cost.has_value(); });
}

/// The cell of that column, of three digits or whole; "" where nothing was measured.
std::string cost_text(const ScorecardRow& row);

/// Where the rows' times were measured, each place once.
std::vector<std::string> places_of(std::span<const ScorecardRow> rows);

/// Below the table: what "us" is, and where it was measured; and the bytes of the cache at each retention where
/// `kv_bytes` is not 0. "" where there is neither.
std::string cost_note(std::span<const std::string> places, std::string_view protocol, double kv_bytes,
                      std::span<const double> retentions, const std::function<std::string(std::string_view)>& quote);

} // namespace evictlab::report
