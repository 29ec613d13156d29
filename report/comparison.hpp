// What a leaderboard says of its rows beside their figures: ranks, the share of the gap closed, and how sure that is.
// SPDX-License-Identifier: MIT
#pragma once
#include "report/leaderboard.hpp"

namespace evictlab::report {

/// Puts the merged rows, all in `table.groups[0]`, into their groups and order, and compares them within those.
void compare_rows(LeaderboardTable& table);

/// One value a document: its error, averaged over the retentions.
std::vector<double> document_averages(const SplitErrors& errors);

/// Whether every row has the errors of the documents that judge.
bool has_documents(const LeaderboardTable& table);

} // namespace evictlab::report
