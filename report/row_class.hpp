// The class of a row's scorer (framework/scorers/scorer_class.hpp) in results and tables.
// SPDX-License-Identifier: MIT
#pragma once
#include <algorithm>
#include <optional>
#include <string>
#include <string_view>

#include "base/json/json_field.hpp"
#include "framework/bench/scorecard.hpp"

namespace evictlab::report {

/// What follows from the row's formula, or from its name among the plugins that were found; nothing of a bound or where
/// they have no such scorer. Opens no file.
std::optional<ScorerClass> class_of_row(const ScorecardRow& row, const PluginHost& plugins);

/// Of what to_json(ScorerClass) writes (framework/scorers/class_json.hpp). Error with file, field and what was
/// expected, also where fields contradict each other.
ScorerClass read_class(const JsonField& field);

inline const ScorecardRow& scorecard_of(const ScorecardRow& row) { return row; }
inline const ScorecardRow& scorecard_of(const auto& row) { return row.scorecard; }

/// Whether a table of these rows has the column "reads".
bool any_class(const auto& rows) {
    return std::ranges::any_of(rows, [](const auto& row) { return scorecard_of(row).scorer_class.has_value(); });
}

/// The cell of that column; "" where the class is not known.
inline std::string reads_text(const ScorecardRow& row) { return row.scorer_class ? row.scorer_class->reads() : ""; }

/// What the column says, for a legend below the table.
inline constexpr std::string_view reads_note =
    "\"reads\": kv, nothing of queries; q64, the attention of the last 64; all q, all queries by themselves; all attn, "
    "the attention of all, which fused kernels do not give; qkv, what a plugin's own code takes of them. With "
    "attention a row is query-aware. 2nd pass: the model read the prompt again, to repeat it; such rows cost that much "
    "more.";

} // namespace evictlab::report
