// A protocol: when tokens are evicted, what scorers may see then, and which queries judge what is left. One layer of
// one trace at a time, for all scorers at once.
// SPDX-License-Identifier: MIT
#pragma once
#include <atomic>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "framework/cut/shape.hpp"
#include "framework/damage/measure.hpp"
#include "framework/protocols/cut_schedule.hpp"
#include "framework/scorers/published.hpp"
#include "framework/scorers/scorer_class.hpp"
#include "framework/scoring/scorer_pool.hpp"
#include "framework/suite/suite.hpp"

namespace evictlab {

/// How a bench and its protocol talk about scorers while a layer is measured.
struct ScorerHooks {
    const std::atomic<bool>* stop = nullptr;              ///< set from outside: figures() throws Interrupted soon after
    std::function<bool(std::size_t)> skip;                ///< scorers not to run
    std::function<void(std::size_t, PluginError)> failed; ///< told of one that broke, which is then left out
};

/// A score by which a threshold decides over a token.
struct DecidedScore {
    double score = 0;
    double weight = 0; ///< in the unit of RowFigures::cached: what stays cached if the token does
};

/// How a layer's cache went in some steps of the continuation; sums.
struct CacheSteps {
    double attention_loss = 0; ///< of the steps' queries
    double queries = 0;
    /// Over heads: tokens that were cached after a step and its cut, and those that had come by then.
    double cached = 0, seen = 0;
    /// Over heads: evicted tokens that an earlier cut had left, and tokens that came.
    double replaced = 0, came = 0;
};

/// What one row, a scorer or a bound, has to show for one layer; each [retention]. Empty where its protocol does not
/// measure it, or the scorer was left out.
struct RowFigures {
    std::vector<double> attention_loss, output_error;
    std::vector<double> kept, cached; ///< the ledger: tokens, summed over heads
    /// What of the continuation is still cached when it ends, over what it would be if all tokens were kept alike.
    std::vector<double> continuation_kept;
    /// Where ProtocolSetup::bin: [retention][bin of the continuation], and the most tokens that a head held while it
    /// attended.
    std::vector<std::vector<CacheSteps>> along{};
    std::vector<std::size_t> largest{};
    /// [retention][Protocol::responses()], to be summed over layers before predicted_kl() takes them.
    std::vector<float> responses;
    /// Where ProtocolSetup::measure_time: how long scoring took, columns included, and over how many tokens.
    double scoring_seconds = 0, scored_tokens = 0;
    /// Where ProtocolSetup::find_thresholds, and nothing else but `cached` then: what decided while nothing was
    /// evicted, by retention or, with one list, for all of them alike; and how much of `cached` a budget would allow,
    /// [retention].
    std::vector<std::vector<DecidedScore>> decided{};
    std::vector<double> allowed{};

    /// Of a measure that layers have by themselves, all but predicted_kl.
    const std::vector<double>& errors(Measure measure) const {
        return measure == Measure::output_error ? output_error : attention_loss;
    }
};

/// The figures of one layer: every scorer's, then every bound's.
using LayerFigures = std::vector<RowFigures>;

/// Rows of one trace that are only judged once all its layers are scored, as budgets over the whole model are. After
/// figures() of every layer, with this, come divide() once and judge() for each layer.
class WaitingRows {
public:
    virtual ~WaitingRows() = default;
    /// Decides what each layer keeps. Frees nothing yet; not while figures() runs.
    virtual void divide(const ScorerHooks& hooks) = 0;
    /// Fills in those rows of a layer's figures. Thread-safe.
    virtual void judge(std::size_t layer, const ScorerHooks& hooks, LayerFigures& figures) const = 0;
};

/// Refers to scorers and retentions, which must outlive it. figures() is thread-safe.
class Protocol {
public:
    virtual ~Protocol() = default;
    virtual std::string_view name() const = 0;
    virtual std::vector<std::string> bounds() const = 0; ///< names of rows that no scorer can have
    virtual std::vector<Measure> measures() const = 0;   ///< the primary one first
    virtual bool keeps_ledger() const = 0;
    /// Responses of one row at one retention; 0 where the protocol does not measure predicted_kl.
    virtual std::size_t responses(const Trace&) const { return 0; }
    virtual BudgetKind budgets(std::size_t row) const = 0;
    /// What a head may cache of the trace by the budget and the schedule: `cached` and `seen`. Of protocols that cut
    /// again and again.
    virtual CacheSteps allowed(const Trace&, std::size_t) const { return {}; }
    /// Throws UsageError where the shape cannot be had of the trace at some budget.
    virtual void check(const Trace&) const {}
    /// What figures() of a trace's layers gather for rows that wait for all of them; null where no row does. Refers to
    /// the protocol and the trace.
    virtual std::unique_ptr<WaitingRows> waiting_rows(const Trace&) const { return nullptr; }
    /// `waiting`: of this trace, or null.
    virtual LayerFigures figures(const Trace& trace, std::size_t layer, const ScorerHooks& hooks,
                                 WaitingRows* waiting) const = 0;
    /// Of figures() of one layer, in a unit that all traces share: for the order of tasks and for progress.
    static double work(const Trace& trace);

    /// Around all calls of figures(): see ScorerPool.
    void create_instances(ScorerFailures& failures) { scorers_.create(failures); }
    void end_instances(ScorerFailures& failures) { scorers_.end(failures); }

protected:
    Protocol(std::span<const Scorer> scorers, std::span<const double> retentions)
        : scorers_(scorers), retentions_(retentions) {}
    ScorerPool scorers_;
    std::span<const double> retentions_;
};

/// Throws Interrupted where the hooks' flag is set.
void heed_stop(const ScorerHooks& hooks);
/// The error with the place where it happened behind its cause: "... (trace micro/train/0)".
PluginError at_place(const PluginError& error, const std::string& place);

/// What a captured suite's traces let a protocol measure beside attention loss.
struct CapturedMeasures {
    bool output_error = false; ///< all have output projections
    bool predicted_kl = false; ///< all have sensitivities
};

/// What a protocol is made from.
struct ProtocolSetup {
    std::span<const Scorer> scorers;
    std::span<const double> retentions;
    CapturedMeasures measured{};
    CutSchedule schedule{};              ///< where a cache is cut more than once
    std::size_t bin = 0;                 ///< steps of the continuation in each of RowFigures::along; 0: no such figures
    bool measure_time = false;           ///< of scorers, where the protocol can tell
    Shape shape{};                       ///< of every cut
    std::span<const std::size_t> keep{}; ///< in place of each retention: tokens of a set; none where those count
    /// Of scorers with thresholds below all scores: tell by what scores they would decide, and judge nothing.
    bool find_thresholds = false;
};

/// A row of the table of protocols: all that the rest of the program knows of one.
struct ProtocolInfo {
    std::string_view name;
    std::string_view note; ///< what a reader of its figures must know, Markdown: one paragraph
    std::span<const double> usual_retentions;
    bool needs_capture = false;     ///< queries, keys and values, which only captured suites have
    bool gives_tensors = false;     ///< to scorers, as columns and as tensors
    bool gives_second_pass = false; ///< over the prompt that is scored
    bool measures_time = false;     ///< of scoring, where ProtocolSetup asks for it
    bool cuts_again = false;        ///< a cache that lives on: it has schedules, and goes along the continuation
    ScorerRules rules = ScorerRules::published;
    /// Why it cannot run the scorer on any suite, or "".
    std::string (*refuses)(const Scorer&) = nullptr;
    /// Why it cannot cut by the shape, or to numbers of tokens in place of shares, or ""; null where it can.
    std::string (*refuses_shape)(const Shape&, bool numbers) = nullptr;
    std::unique_ptr<Protocol> (*make)(const ProtocolSetup&) = nullptr;
};

/// All of them. Where none is asked for, a captured suite is run by the first that needs one, others by the first that
/// does not.
std::span<const ProtocolInfo> protocols();
std::span<const std::string_view> protocol_names();
/// Null for an unknown name.
const ProtocolInfo* find_protocol(std::string_view name);
/// Throws UsageError for an unknown name.
const ProtocolInfo& protocol_info(std::string_view name);

/// "rescore" for synthetic suites, "prefill" for captured ones.
std::string_view usual_protocol(bool captured);
std::string_view usual_protocol(const Suite& suite);
std::vector<double> usual_retentions(std::string_view protocol);
/// Throws UsageError for an unknown name, or one that the suite cannot be run by.
void check_protocol(std::string_view protocol, const Suite& suite);
/// Throws UsageError for a shape, or numbers of tokens in place of retentions, that the protocol cannot cut by.
void check_shape(std::string_view protocol, const Shape& shape, bool numbers);
/// Why the scorer cannot be run on the suite by the protocol and shape ("asks for column ..."), or "".
std::string refusal(const Scorer& scorer, const Suite& suite, std::string_view protocol, const Shape& shape = {});

/// Why a scorer cannot decide at the cuts of the schedule, or "".
std::string schedule_refusal(const Scorer& scorer, const CutSchedule& schedule);

struct ProtocolOptions {
    CutSchedule schedule{};        ///< for decode; the usual one for others
    std::size_t bin = 0;           ///< as ProtocolSetup::bin; for decode
    std::optional<Measure> only{}; ///< leave out the work for all measures but this one and attention loss
    bool measure_time = false;
    Shape shape{};
    std::span<const std::size_t> keep{}; ///< as ProtocolSetup::keep
    bool find_thresholds = false;        ///< likewise
};

/// Throws UsageError.
std::unique_ptr<Protocol> make_protocol(std::string_view name, const Suite& suite, std::span<const Scorer> scorers,
                                        std::span<const double> retentions, const ProtocolOptions& options = {});

} // namespace evictlab
