// The model's own verdict in Markdown and JSON, as part of a leaderboard.
// SPDX-License-Identifier: MIT
#pragma once
#include <string>

#include "base/json/json_field.hpp"
#include "report/leaderboard_text.hpp"
#include "report/verdict.hpp"

namespace evictlab::report {

/// A section with a heading of the fourth level.
std::string verdict_to_markdown(const VerdictTable& table, Detail detail);
/// The same without its lesser tables for a terminal of so many columns: fewer columns, and never a broken row. Lines
/// below the tables are as long as they come.
std::string verdict_to_text(const VerdictTable& table, std::size_t width, bool colour);
/// A table of about six rows and what its figures are: the bound, the best row that is not published, published ones,
/// random.
std::string verdict_headline(const VerdictTable& table);
Json verdict_to_json(const VerdictTable& table);
/// The geometric mean of a scorer's KL divergence over documents and retentions; "" where it has none.
std::string verdict_cell(const VerdictTable& table, const std::string& scorer);

} // namespace evictlab::report
