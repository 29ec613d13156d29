// A captured suite's part of a leaderboard in Markdown: rows with intervals, both measures, budgets, kinds.
// SPDX-License-Identifier: MIT
#pragma once
#include <string>
#include <vector>

#include "report/leaderboard.hpp"
#include "report/leaderboard_text.hpp"

namespace evictlab::report {

/// Tables and their legend, without heading and notes on the suite.
std::string captured_tables(const LeaderboardTable& table, Detail detail);

/// Test documents by kind, in the order of the documents.
struct DocumentKind {
    std::string name;
    std::vector<std::size_t> documents;
};
std::vector<DocumentKind> document_kinds(const LeaderboardTable& table);
/// Mean over the documents of a kind, and over the retentions.
double kind_average(const SplitErrors& errors, const DocumentKind& kind);

} // namespace evictlab::report
