// What stands below a captured suite's tables in Markdown, and which columns they have that it explains.
// SPDX-License-Identifier: MIT
#pragma once
#include <string>

#include "report/leaderboard.hpp"

namespace evictlab::report {

/// Paragraphs, and a line end.
std::string captured_legend(const LeaderboardTable& table);

/// Whether a second model's documents stand beside those that judge.
bool shows_other_model(const LeaderboardTable& table);
/// Whether the rows are shown beside the best published one of one pass.
bool shows_one_pass(const RowGroup& group);
/// Whether some row of the group keeps another share than was asked.
bool shows_retention_used(const LeaderboardTable& table, const RowGroup& group);
/// That share of a row, as retention_used_text() has it.
std::string used_text(const LeaderboardTable& table, const ScorecardRow& row);

} // namespace evictlab::report
