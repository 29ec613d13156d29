// A leaderboard's measures and verdicts in the one form that its page shows (report/page.hpp).
// SPDX-License-Identifier: MIT
#pragma once
#include "report/leaderboard.hpp"

namespace evictlab::report {

/// Of the table's measure `m`: the primary one first, then LeaderboardTable::more_measures. `bootstrap` is for as many
/// documents as judge, or for none where errors by document are not known.
Json measure_view(const LeaderboardTable& table, std::size_t m, const Bootstrap& bootstrap);
Json verdict_view(const VerdictTable& verdict);

} // namespace evictlab::report
