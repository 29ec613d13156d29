// The leaderboard: any number of bench results and evolution runs in one table a suite, protocol and measure. It only
// merges and compares figures; whoever calls it has measured them. Writing it down is in leaderboard_text.hpp.
// SPDX-License-Identifier: MIT
#pragma once
#include <array>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/statistics/bootstrap.hpp"
#include "evolution/candidate.hpp"
#include "framework/bench/scorecard.hpp"
#include "framework/plugin/host.hpp"
#include "framework/scorers/published.hpp"
#include "report/ranking.hpp"
#include "report/verdict.hpp"

namespace evictlab::report {

/// A bench result; or an evolution run with the bench of its champion (and whatever else) on the run's suite.
struct LeaderboardInput {
    std::string file; ///< where it comes from, for messages and for the table's sources
    Bench bench;      ///< of a run: has a row named champion_label(*run)
    std::optional<evolution::RunSummary> run;
};

/// What a verdict of the model itself is read from.
struct VerdictInput {
    std::string file;
    Verdict verdict;
};

/// The name of a run's champion in tables: that of its formula, so that two names are equal only for equal formulas; of
/// a run that tuned a plugin the scorer as --scorers takes it.
std::string champion_label(const evolution::RunSummary& run);

/// (best published - row) / (best published - oracle) on the test split, of the rows of one group. The best published
/// row is that of the same measure and retention. Nothing without a published row or a bound ahead of it.
struct GapClosed {
    std::optional<double> average;
    std::vector<std::optional<double>> by_retention;
};

struct LeaderboardRow {
    ScorecardRow scorecard;
    bool published = false;          ///< a published method, as is_published() has it under the table's protocol
    std::optional<std::size_t> rank; ///< in its group; nothing for a bound, or a row that overshoots
    /// Share of `hybrid`'s error on the test split that this row saves: the seed's measure. Nothing without hybrid, and
    /// on captured suites.
    std::optional<double> improvement_over_hybrid;
    std::vector<GapClosed> gap_closed; ///< by measure: the primary one first, then LeaderboardTable::more_measures
    Estimate test;                     ///< the average on the test split; an interval where documents are known
    /// Row minus its group's best published row, of `test`. Nothing without a published row.
    std::optional<Estimate> difference;
    /// Of a row with two passes: minus the best published row with one and uniform budgets, which it is no rival of.
    std::optional<Estimate> from_one_pass;
    bool win = false;                 ///< the interval of the difference lies below 0, of enough documents
    std::string command;              ///< that measures or finds it again
    std::vector<std::string> sources; ///< the inputs' files
};

/// Rows that compete with each other.
struct RowGroup {
    std::string best_published;       ///< the scorer's name; "" where no published method is among the rows
    std::vector<LeaderboardRow> rows; ///< best first, with their bound
};

struct LeaderboardTable {
    std::string suite, suite_hash, suite_parameters_json, protocol, measure;
    std::vector<std::string> more_measures;
    std::vector<double> retentions;
    BySplit<std::vector<TraceLabel>> traces;   ///< by Split; empty where the inputs do not say
    std::vector<TraceLabel> left_out;          ///< test documents that are in no mean: the model cannot do them
    bool no_claims = false;                    ///< the model can do none: all are in the means, and nobody wins
    std::string near_ranks, storage;           ///< report::near_ranks() of its rows; Bench::storage
    std::vector<SharingLayers> sharing_layers; ///< Bench::sharing_layers
    double kv_bytes = 0;                       ///< Bench::kv_bytes
    BenchCut cut{};                            ///< Bench::cut: rows compete within a shape and schedule
    BySplit<std::vector<double>> allowed{};    ///< Bench::allowed
    bool captured = false;                     ///< its traces are documents, captured from a model
    std::array<RowGroup, table_classes.size()> groups{}; ///< by TableClass: rows compete within a group
    RowGroup& of(TableClass which) { return groups[which.index()]; }
    const RowGroup& of(TableClass which) const { return groups[which.index()]; }
    /// One pass, and each head of a row keeps the same number of tokens.
    const RowGroup& uniform() const { return groups[0]; }
    struct Run {
        std::string file;
        evolution::RunSummary summary;
    };
    std::vector<Run> runs;
    std::vector<VerdictTable> verdicts;
    std::vector<PluginError> failures; ///< scorers that have no row in some input
    std::vector<BareName> bare;        ///< in the rows' names, without repetition; where published rules are compared
};

/// One table for each suite (by hash), protocol, shape, schedule of cuts, list of measures and list of retentions, in
/// the order in which the inputs name them; without inputs one for each suite of the verdicts, which then has no rows.
/// `plugins` say which rows are published methods: one whose plugin is not there is none. Throws Error: an input
/// without its oracle or its random row, or without test documents; a run whose bench is of another suite or lacks its
/// champion; a scorer with different figures in two inputs (naming both files); a verdict of a suite, protocol or
/// document that no input has.
std::vector<LeaderboardTable> make_leaderboard(std::span<const LeaderboardInput> inputs,
                                               std::span<const VerdictInput> verdicts, const PluginHost& plugins);

/// The table of one bench by itself, whatever rows it has or lacks: what a leaderboard would say of it.
LeaderboardTable compared(const Bench& bench, const PluginHost& plugins);

/// `evictlab evolve ...` that repeats a run.
std::string run_command(const evolution::RunSummary& run);
/// `evictlab bench ...` that measures the row again.
std::string bench_command(const LeaderboardTable& table, const ScorecardRow& row);

} // namespace evictlab::report
