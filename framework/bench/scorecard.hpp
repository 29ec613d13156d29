// Scorecards: the error of scorers on a whole suite, by a protocol and one or more measures. Reporting only; searches
// use fitness.hpp, which cannot see the test split. SPDX-License-Identifier: MIT
#pragma once
#include <array>
#include <atomic>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "framework/cut/shape.hpp"
#include "framework/protocols/cut_schedule.hpp"
#include "framework/scorers/scorer.hpp"
#include "framework/scorers/scorer_class.hpp"
#include "framework/suite/suite.hpp"

namespace evictlab {

/// What a row of a leaderboard is.
enum class RowKind : std::uint8_t { plugin, formula, bound };
std::string_view to_string(RowKind kind);

/// Errors of one split: the mean over its traces at each retention, and the mean of those. NaN where it has no traces.
struct SplitErrors {
    std::vector<double> by_retention; ///< in the order of Bench::retentions
    double average = 0;
    std::vector<std::vector<double>> by_trace; ///< [trace][retention]
};

/// What scoring takes, by the clock: of one machine and one run, and no part of what a run follows from.
struct ScoringCost {
    /// A token and layer, its columns included as if the scorer were alone: of a prompt's (prefill), or of each token
    /// that comes behind it (decode).
    double microseconds = 0;
    std::string measured_on; ///< processor and threads
};

/// How caches went along the continuation under `decode`, by bins of Bench::bin steps.
struct CacheCourse {
    /// [retention][bin]: the attention loss, mean over the layers and then the traces that have the bin; cached tokens
    /// over those that had come; evicted tokens that an earlier cut had left over those that came.
    std::vector<std::vector<double>> attention_loss, retention_used, churn;
    std::vector<std::size_t> largest; ///< [retention]: tokens that a head held while it attended
};

struct ScorecardRow {
    std::string scorer;
    RowKind kind = RowKind::plugin;
    std::string formula;         ///< canonical text, of a formula
    BySplit<SplitErrors> splits; ///< by Split, in Bench::measure
    /// The same in the measures of Bench::more_measures: [measure], then by Split. Retentions' errors in the same
    /// order.
    std::vector<BySplit<SplitErrors>> more_splits;
    /// The ledger: kept over cached tokens, summed over layers and heads, [split][retention]. Empty where the protocol
    /// keeps exactly what was asked for (`rescore`).
    BySplit<std::vector<double>> retention_used;
    /// Under `decode`, what is still cached of the continuation when it ends, over what it would be if all tokens were
    /// kept alike, [split][retention]: near 0 the set froze. Empty under other protocols.
    BySplit<std::vector<double>> continuation_kept{};
    BySplit<CacheCourse> course{}; ///< where Bench::bin
    /// Whether heads or layers of this row keep different numbers of tokens: such rows are compared with each other.
    bool uneven_budgets = false;
    std::optional<ScorerClass> scorer_class{}; ///< nothing of a bound, or where a result does not say
    std::optional<ScoringCost> cost{};         ///< likewise
    /// [retention] Of a scorer without budget whose threshold was found on the train split: what was found. Else empty.
    std::vector<double> thresholds{};
};

/// A trace as a report shows it.
struct TraceLabel {
    std::string name;
    std::string kind;       ///< of document: prose, code, ...; "" for synthetic patterns
    std::string left_out{}; ///< why it carries no claim (CapturedTrace::left_out); "" otherwise
};

/// How the rows of a bench cut.
struct BenchCut {
    Shape shape{};
    /// Where not shares were asked for but numbers: tokens that each set keeps, [retention]. The retentions are then
    /// the shares that these are of the suite's prompts, on the mean. Empty elsewhere.
    std::vector<std::size_t> keep{};
    /// By Granularity::model, layers of a trace that share the set, where the model has more; else 0.
    std::size_t joined_layers = 0, of_layers = 0;
    CutSchedule schedule{}; ///< of the protocol decode
    bool operator==(const BenchCut&) const = default;
};

/// Layers among which budgets over the whole model are divided, where these are not all that the model has.
struct SharingLayers {
    std::size_t layers = 0, of = 0;
    bool operator==(const SharingLayers&) const = default;
};

struct Bench {
    std::string suite, suite_hash, suite_parameters_json, protocol;
    std::string measure = "attention_loss"; ///< of ScorecardRow::splits: attention_loss or output_error
    std::vector<std::string> more_measures;
    std::vector<double> retentions;
    BenchCut cut{};
    /// By another schedule than the usual one, what caches of each budget may hold over the tokens that had come,
    /// [split][retention]; empty elsewhere.
    BySplit<std::vector<double>> allowed{};
    std::size_t bin = 0; ///< steps of the continuation in a bin of ScorecardRow::course; 0: there are none
    /// What rows read beside the suite, by its kind ("calibration", "reconstruction"): "sha256:" and 64 digits. Empty
    /// where none did.
    std::map<std::string, std::string> sources;
    std::string storage; ///< "I8" where a trace of a captured suite holds q, k or v so; "" otherwise
    std::vector<SharingLayers> sharing_layers; ///< of traces that hold some layers, where a row has such a budget
    double kv_bytes = 0; ///< of a token's keys and values in one layer, all KV heads, while it is kept; 0: not known
    BySplit<std::vector<TraceLabel>> traces; ///< by Split, in the order of SplitErrors::by_trace
    std::vector<ScorecardRow> rows;          ///< in the order asked for; bounds last
    std::vector<PluginError> failures;       ///< of scorers that have no row: they broke, or could not be asked
};

/// Called now and then from some thread, with work done and all work in the same unit. May be empty.
using Progress = std::function<void(double done, double total)>;

struct BenchOptions {
    std::string protocol;            ///< "": usual_protocol() of the suite
    std::vector<double> retentions;  ///< none: usual_retentions() of the protocol
    std::vector<std::size_t> keep{}; ///< in place of retentions: tokens that each set keeps, of each prompt
    Shape shape{};                   ///< of every cut
    CutSchedule schedule{};          ///< protocol decode: when the cache is cut
    std::size_t bin = 0;             ///< likewise: fill ScorecardRow::course, by so many steps
    std::string measure;             ///< of ScorecardRow::splits; "": the protocol's primary one
    bool for_search = false;         ///< what a search is compared with: `measure` on the train and valid splits alone
    std::optional<SearchSplit> only; ///< with for_search: of the two splits this one alone
    int threads = 0;                 ///< 0: all
    bool cost = false;               ///< fill ScorecardRow::cost and Bench::kv_bytes, of captured suites
    double value_bytes = 2;          ///< of a number in the KV cache, for kv_bytes
    Progress progress;
    const std::atomic<bool>* stop = nullptr; ///< set from outside: run_bench throws Interrupted soon after
};

/// A bench has no more retentions: its results are read again within limits.
inline constexpr std::size_t most_retentions = 512;

/// Evaluates every scorer, and the protocol's bounds, on all splits. The same bits for any number of threads.
/// Throws UsageError for a retention outside (0, 1], a protocol, measure or shape that the suite does not have, or a
/// scorer that it cannot run; where the shape protects more of a prompt than is to be kept; for a schedule or bin under
/// another protocol than decode; and for the schedule `turns` where no trace says where its answers are.
Bench run_bench(const Suite& suite, std::span<const Scorer> scorers, const BenchOptions& options = {});

/// Throws the first failure that is not its plugin's doing: where a search would take a missing row for a verdict.
void throw_if_hindered(const Bench& bench);

} // namespace evictlab
