// The leaderboard: any number of bench results and evolution runs in one table a suite. It only merges and compares
// figures; whoever calls it has measured them. Writing it down is in leaderboard_text.hpp.
// SPDX-License-Identifier: MIT
#pragma once
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "evolution/candidate.hpp"
#include "framework/evaluation/scorecard.hpp"

namespace evictlab::report {

/// A bench result; or an evolution run with the bench of its champion (and whatever else) on the run's suite.
struct LeaderboardInput {
    std::string file; ///< where it comes from, for messages and for the table's sources
    Bench bench;      ///< of a run: has a row named champion_label(*run)
    std::optional<evolution::RunSummary> run;
};

/// The name of a run's champion in tables: that of its formula, so that two names are equal only for equal formulas.
std::string champion_label(const evolution::RunSummary& run);

struct LeaderboardRow {
    ScorecardRow scorecard;
    std::optional<std::size_t> rank; ///< nothing for a bound
    /// Share of `hybrid`'s error on the test split that this row saves: the seed's measure. Nothing without hybrid.
    std::optional<double> improvement_over_hybrid;
    /// (best published - row) / (best published - oracle) on the test split. Nothing without a published row.
    std::optional<double> gap_closed;
    std::string command;              ///< that measures or finds it again
    std::vector<std::string> sources; ///< the inputs' files
};

struct LeaderboardTable {
    std::string suite, suite_hash, suite_parameters_json, protocol;
    std::vector<double> retentions;
    std::string best_published;       ///< the scorer's name; "" where no published method is among the rows
    std::vector<LeaderboardRow> rows; ///< best first
    struct Run {
        std::string file;
        evolution::RunSummary summary;
    };
    std::vector<Run> runs;
};

/// One table for each suite (by hash), protocol and list of retentions, in the order in which the inputs name them.
/// Throws Error: an input without `oracle` or `random@seed`; a run whose bench is of another suite or lacks its
/// champion; a scorer with different figures in two inputs (naming both files).
std::vector<LeaderboardTable> make_leaderboard(std::span<const LeaderboardInput> inputs);

/// Whether a row is a published method as it was published: a built-in plugin of one, with no parameter changed by
/// hand.
bool is_published(const ScorecardRow& row);

/// `evictlab bench ...` that measures the row again.
std::string bench_command(const LeaderboardTable& table, const ScorecardRow& row);

} // namespace evictlab::report
