// SPDX-License-Identifier: MIT
#include "framework/bench/scorecard.hpp"

#include <fmt/format.h>
#include <tbb/info.h>
#include <tbb/parallel_for.h>
#include <tbb/task_arena.h>

#include <algorithm>
#include <cmath>
#include <iterator>
#include <limits>
#include <mutex>
#include <numeric>

#include "base/option_error.hpp"
#include "base/process/processor.hpp"
#include "framework/bench/in_threads.hpp"
#include "framework/bench/matching.hpp"
#include "framework/capture/captured_trace.hpp"
#include "framework/capture/safetensors.hpp"
#include "framework/damage/continuation_damage.hpp"
#include "framework/protocols/protocol.hpp"

namespace evictlab {

namespace {

bool stored_as_i8(const CapturedTrace& trace) {
    const TensorInfo* const keys = trace.tensors().find(fmt::format("layers.{}.k", trace.layers().front()));
    return keys && keys->type == DType::i8;
}

} // namespace

/// One benching of a suite: the only place that may open the test split.
class ScorecardRun {
public:
    /// `failures`: of scorers that are left out.
    ScorecardRun(const Suite& suite, std::span<const Scorer> scorers, const BenchOptions& options,
                 ScorerFailures failures)
        : suite_(suite), scorers_(scorers), options_(options),
          protocol_(make_protocol(options.protocol, suite, scorers, options.retentions,
                                  {options.schedule, options.bin,
                                   options.for_search ? measure_of(options.measure) : std::nullopt, options.cost,
                                   options.shape, options.keep})),
          failed_at_(scorers.size(), no_task), failures_(std::move(failures)) {
        for (const Split split : all_splits) {
            if (is_test(split) && options.for_search) continue;
            if (options.only && static_cast<std::size_t>(split) != static_cast<std::size_t>(*options.only)) continue;
            for (const TracePtr& trace : suite.traces(split, ReportingKey{})) add_trace(split, trace);
        }
        std::ranges::stable_sort(order_, std::greater<>(), [this](std::size_t t) { return tasks_[t].cost; });
        check_turns();
    }

    /// By what names tables have numbers of tokens.
    static std::vector<double> names_of_numbers(const Suite& suite, const BenchOptions& options) {
        check_shape(options.protocol, options.shape, true);
        std::vector<std::size_t> prompts;
        for (const Split split : all_splits) {
            if (is_test(split) && options.for_search) continue;
            for (const TracePtr& trace : suite.traces(split, ReportingKey{}))
                prompts.push_back(trace->captured()->prompt_len());
        }
        return mean_shares(options.keep, prompts);
    }

    Bench run() {
        const std::vector<Measure> measures = ordered_measures();
        protocol_->create_instances(failures_);
        for (const auto& [scorer, error] : failures_) failed_at_[scorer] = 0;
        const auto work = [this] {
            tbb::parallel_for(
                std::size_t{0}, order_.size(), [this](std::size_t i) { run_task(order_[i]); },
                tbb::simple_partitioner());
        };
        in_threads(options_.threads, work);
        protocol_->end_instances(failures_);
        return collect(measures);
    }

private:
    static constexpr std::size_t no_task = static_cast<std::size_t>(-1);
    struct Task {
        std::size_t trace, layer;
        double cost;
    };
    struct TraceSlot {
        Split split;
        TracePtr trace;
        std::size_t first_task, layers;
        std::unique_ptr<WaitingRows> waiting; ///< until all layers are done; null where no row waits
        std::size_t layers_done = 0;
        std::vector<std::vector<double>> predicted{}; ///< predicted_kl, [row][retention], once all layers are done
    };

    void add_trace(Split split, const TracePtr& trace) {
        const std::vector<std::size_t> layers = trace->held_layers();
        if (layers.empty())
            throw Error(fmt::format("trace {}: every layer in it has a sliding window, and those are not judged",
                                    trace->name()));
        protocol_->check(*trace);
        traces_.push_back({split, trace, tasks_.size(), layers.size(), protocol_->waiting_rows(*trace)});
        for (const std::size_t layer : layers) {
            order_.push_back(tasks_.size());
            tasks_.push_back({traces_.size() - 1, layer, Protocol::work(*trace)});
            total_cost_ += tasks_.back().cost;
        }
        figures_.resize(tasks_.size());
    }

    void check_turns() const {
        if (options_.schedule.rule != CutSchedule::Rule::turns) return;
        const auto has_answers = [](const TraceSlot& slot) {
            return slot.trace->captured() && !slot.trace->captured()->answer_ends().empty();
        };
        if (std::ranges::none_of(traces_, has_answers))
            throw OptionError("schedule",
                              fmt::format("turns cuts behind each answer, and no document of suite '{}' says "
                                          "where its continuation has any",
                                          suite_.name()));
    }

    /// A failure is that of the task at `index`.
    ScorerHooks hooks_of(std::size_t index) {
        ScorerHooks hooks;
        hooks.stop = options_.stop;
        hooks.skip = [this, index](std::size_t scorer) {
            const std::lock_guard lock(mutex_);
            return failed_at_[scorer] < index;
        };
        hooks.failed = [this, index](std::size_t scorer, PluginError error) {
            const std::lock_guard lock(mutex_);
            if (index > failed_at_[scorer]) return;
            failed_at_[scorer] = index; // of several failures the first in the suite's order is told
            failures_.insert_or_assign(scorer, std::move(error));
        };
        return hooks;
    }

    void run_task(std::size_t index) {
        const Task& task = tasks_[index];
        TraceSlot& slot = traces_[task.trace];
        figures_[index] = protocol_->figures(*slot.trace, task.layer, hooks_of(index), slot.waiting.get());
        if (is_last_layer(slot)) finish(slot);
        const std::lock_guard lock(mutex_);
        done_cost_ += task.cost;
        if (options_.progress) options_.progress(done_cost_, total_cost_);
    }

    bool is_last_layer(TraceSlot& slot) {
        const std::lock_guard lock(mutex_);
        return ++slot.layers_done == slot.layers;
    }

    /// Once all layers of a trace have their figures.
    void finish(TraceSlot& slot) {
        if (slot.waiting) judge_waiting(slot);
        slot.waiting.reset();
        predict(slot);
    }

    /// What fails for a whole trace fails behind its last layer, where no layer of it failed before.
    void judge_waiting(TraceSlot& slot) {
        const ScorerHooks hooks = hooks_of(slot.first_task + slot.layers - 1);
        slot.waiting->divide(hooks);
        // Isolated, so that this thread begins no other trace meanwhile, whose scores would be held beside these.
        tbb::this_task_arena::isolate([&] {
            tbb::parallel_for(std::size_t{0}, slot.layers, [&](std::size_t layer) {
                const std::size_t task = slot.first_task + layer;
                slot.waiting->judge(tasks_[task].layer, hooks, figures_[task]);
            });
        });
    }

    /// Sums the responses of a finished trace over its layers, in their order, and lets go of them.
    void predict(TraceSlot& slot) {
        const std::size_t count = protocol_->responses(*slot.trace);
        if (count == 0) return;
        for (std::size_t row = 0; row < figures_[slot.first_task].size(); ++row) {
            std::vector<float> sums = std::move(figures_[slot.first_task][row].responses);
            for (std::size_t task = slot.first_task + 1; task < slot.first_task + slot.layers; ++task) {
                const std::vector<float> more = std::move(figures_[task][row].responses);
                for (std::size_t i = 0; i < sums.size(); ++i) sums[i] += more[i];
            }
            auto& predicted = slot.predicted.emplace_back();
            for (std::size_t at = 0; at < sums.size(); at += count)
                predicted.push_back(predicted_kl(std::span(sums).subspan(at, count)));
        }
    }

    /// The protocol's measures, that asked for in front.
    std::vector<Measure> ordered_measures() const {
        std::vector<Measure> order = protocol_->measures();
        if (options_.measure.empty()) return order;
        const auto at = std::ranges::find(order, options_.measure, [](Measure m) { return to_string(m); });
        if (at == order.end()) {
            std::vector<std::string_view> names;
            for (const Measure measure : order) names.push_back(to_string(measure));
            throw UsageError(fmt::format("suite '{}' by protocol {} has no measure '{}'; there is {}", suite_.name(),
                                         protocol_->name(), options_.measure, fmt::join(names, ", ")));
        }
        std::iter_swap(order.begin(), at);
        return order;
    }

    std::size_t retentions() const { return options_.retentions.size(); }

    std::vector<double> trace_errors(const TraceSlot& slot, std::size_t row, Measure measure) const {
        if (measure == Measure::predicted_kl) return slot.predicted[row];
        std::vector<double> mean(retentions(), 0);
        for (std::size_t layer = 0; layer < slot.layers; ++layer) {
            const std::vector<double>& errors = figures_[slot.first_task + layer][row].errors(measure);
            for (std::size_t r = 0; r < retentions(); ++r) mean[r] += errors[r];
        }
        for (double& error : mean) error /= static_cast<double>(slot.layers);
        return mean;
    }

    /// Means in a fixed order: rows and heads (in the judge), layers, traces, retentions.
    SplitErrors split_errors(Split split, std::size_t row, Measure measure) const {
        SplitErrors out;
        out.by_retention.assign(retentions(), 0);
        for (const TraceSlot& slot : traces_) {
            if (slot.split != split) continue;
            std::vector<double> errors = trace_errors(slot, row, measure);
            for (std::size_t r = 0; r < retentions(); ++r) out.by_retention[r] += errors[r];
            out.by_trace.push_back(std::move(errors));
        }
        if (out.by_trace.empty()) { // no document, no figure
            constexpr double none = std::numeric_limits<double>::quiet_NaN();
            return {std::vector<double>(retentions(), none), none, {}};
        }
        for (double& error : out.by_retention) error /= static_cast<double>(out.by_trace.size());
        out.average =
            std::accumulate(out.by_retention.begin(), out.by_retention.end(), 0.0) / static_cast<double>(retentions());
        return out;
    }

    std::vector<double> retention_used(Split split, std::size_t row) const {
        std::vector<double> used;
        for (std::size_t r = 0; r < retentions(); ++r) {
            double kept = 0, cached = 0;
            for (const TraceSlot& slot : traces_) {
                for (std::size_t layer = 0; slot.split == split && layer < slot.layers; ++layer) {
                    kept += figures_[slot.first_task + layer][row].kept[r];
                    cached += figures_[slot.first_task + layer][row].cached[r];
                }
            }
            used.push_back(cached > 0 ? kept / cached : 0);
        }
        return used;
    }

    /// The mean over layers of each trace; empty where the protocol does not say, or the split has no traces.
    std::vector<double> continuation_kept(Split split, std::size_t row) const {
        std::vector<double> kept(retentions(), 0);
        std::size_t layers = 0;
        for (const TraceSlot& slot : traces_) {
            for (std::size_t task = slot.first_task; slot.split == split && task < slot.first_task + slot.layers;
                 ++task) {
                const std::vector<double>& of_layer = figures_[task][row].continuation_kept;
                if (of_layer.empty()) return {};
                for (std::size_t r = 0; r < retentions(); ++r) kept[r] += of_layer[r];
                ++layers;
            }
        }
        if (layers == 0) return {};
        for (double& share : kept) share /= static_cast<double>(layers);
        return kept;
    }

    CacheCourse course(Split split, std::size_t row) const {
        CacheCourse course;
        for (std::size_t r = 0; options_.bin > 0 && r < retentions(); ++r) {
            std::vector<CacheSteps> sums;
            std::vector<double> losses, traces;
            std::size_t largest = 0;
            for (const TraceSlot& slot : traces_) {
                for (std::size_t layer = 0; slot.split == split && layer < slot.layers; ++layer) {
                    const RowFigures& figures = figures_[slot.first_task + layer][row];
                    if (figures.along.empty()) return {};
                    const std::vector<CacheSteps>& along = figures.along[r];
                    sums.resize(std::max(sums.size(), along.size()));
                    losses.resize(sums.size(), 0), traces.resize(sums.size(), 0);
                    for (std::size_t b = 0; b < along.size(); ++b) {
                        losses[b] += along[b].attention_loss / along[b].queries / static_cast<double>(slot.layers);
                        traces[b] += layer == 0 ? 1 : 0;
                        sums[b].cached += along[b].cached, sums[b].seen += along[b].seen;
                        sums[b].replaced += along[b].replaced, sums[b].came += along[b].came;
                    }
                    largest = std::max(largest, figures.largest[r]);
                }
            }
            if (sums.empty()) return {};
            auto& used = course.retention_used.emplace_back();
            auto& churn = course.churn.emplace_back();
            for (std::size_t b = 0; b < sums.size(); ++b) {
                losses[b] /= traces[b];
                used.push_back(sums[b].cached / sums[b].seen);
                churn.push_back(sums[b].replaced / sums[b].came);
            }
            course.attention_loss.push_back(std::move(losses));
            course.largest.push_back(largest);
        }
        return course;
    }

    std::optional<ScoringCost> cost(std::size_t row) const {
        double seconds = 0, tokens = 0;
        for (const LayerFigures& figures : figures_) {
            seconds += figures[row].scoring_seconds;
            tokens += figures[row].scored_tokens;
        }
        if (tokens == 0) return std::nullopt;
        const int threads = options_.threads > 0 ? options_.threads : tbb::info::default_concurrency();
        return ScoringCost{1e6 * seconds / tokens,
                           fmt::format("{}, {} {}", processor_name(), threads, threads == 1 ? "thread" : "threads")};
    }

    /// As Bench::allowed; empty where the split has no traces.
    std::vector<double> allowed(Split split) const {
        std::vector<double> shares;
        for (std::size_t r = 0; r < retentions(); ++r) {
            double cached = 0, seen = 0;
            for (const TraceSlot& slot : traces_)
                if (slot.split == split) {
                    const CacheSteps head = protocol_->allowed(*slot.trace, r);
                    cached += static_cast<double>(slot.layers) * head.cached;
                    seen += static_cast<double>(slot.layers) * head.seen;
                }
            if (seen > 0) shares.push_back(cached / seen);
        }
        return shares;
    }

    /// Of the suite's first trace.
    double kv_bytes() const {
        if (!options_.cost || traces_.empty() || !traces_.front().trace->captured()) return 0;
        const LayerShape shape = traces_.front().trace->captured()->shape(tasks_.front().layer);
        return 2 * options_.value_bytes * static_cast<double>(shape.kv_heads * shape.dim);
    }

    /// Of traces that hold some layers, each pair once.
    std::vector<SharingLayers> sharing_layers() const {
        std::vector<SharingLayers> found;
        for (const TraceSlot& slot : traces_) {
            const CapturedTrace* captured = slot.trace->captured();
            if (!captured || captured->layers().size() == captured->num_layers()) continue;
            const SharingLayers one{slot.layers, captured->num_layers()};
            if (std::ranges::find(found, one) == found.end()) found.push_back(one);
        }
        return found;
    }

    Bench collect(const std::vector<Measure>& measures) const {
        const std::vector<std::string> bounds = protocol_->bounds();
        Bench bench;
        bench.suite = suite_.name();
        bench.suite_hash = suite_.hash();
        bench.suite_parameters_json = suite_.parameters_json();
        bench.protocol = protocol_->name();
        bench.measure = to_string(measures[0]);
        for (std::size_t m = 1; m < measures.size(); ++m) bench.more_measures.emplace_back(to_string(measures[m]));
        bench.retentions = options_.retentions;
        bench.cut = {options_.shape, options_.keep};
        bench.cut.schedule = options_.schedule;
        bench.bin = options_.bin;
        if (!options_.schedule.usual())
            for (const Split split : all_splits) bench.allowed[static_cast<std::size_t>(split)] = allowed(split);
        note_joined_layers(bench.cut);
        if (std::ranges::any_of(scorers_, &Scorer::reads_calibration))
            bench.sources["calibration"] = "sha256:" + suite_.calibration()->sha256;
        if (std::ranges::any_of(scorers_, [](const Scorer& scorer) { return class_of(scorer).passes > 1; }))
            bench.sources["reconstruction"] = suite_.reconstruction();
        bench.kv_bytes = kv_bytes();
        for (const TraceSlot& slot : traces_) {
            const CapturedTrace* captured = slot.trace->captured();
            bench.traces[static_cast<std::size_t>(slot.split)].push_back(
                {slot.trace->name(), captured ? captured->kind() : "", captured ? captured->left_out() : ""});
            if (captured && stored_as_i8(*captured)) bench.storage = "I8";
        }
        std::vector<PluginError> without_figures;
        for (std::size_t row = 0; row < scorers_.size() + bounds.size(); ++row) {
            if (failures_.contains(row)) continue;
            ScorecardRow card;
            const bool bound = row >= scorers_.size();
            card.scorer = bound ? bounds[row - scorers_.size()] : scorers_[row].label();
            card.kind = bound ? RowKind::bound : scorers_[row].is_formula() ? RowKind::formula : RowKind::plugin;
            if (card.kind == RowKind::formula) card.formula = formula::print(scorers_[row].formula());
            card.uneven_budgets = protocol_->budgets(row) != BudgetKind::uniform;
            if (!bound) card.scorer_class = class_of(scorers_[row]);
            if (!bound) card.cost = cost(row);
            for (std::size_t r = 0; !bound && scorers_[row].matched() && r < retentions(); ++r)
                card.thresholds.push_back(scorers_[row].threshold(1.0 - options_.retentions[r]));
            card.more_splits.resize(measures.size() - 1);
            for (const Split split : all_splits) {
                const auto s = static_cast<std::size_t>(split);
                card.splits[s] = split_errors(split, row, measures[0]);
                for (std::size_t m = 1; m < measures.size(); ++m)
                    card.more_splits[m - 1][s] = split_errors(split, row, measures[m]);
                if (protocol_->keeps_ledger()) card.retention_used[s] = retention_used(split, row);
                card.continuation_kept[s] = continuation_kept(split, row);
                card.course[s] = course(split, row);
            }
            if (traces_.empty() || any_figure(card))
                bench.rows.push_back(std::move(card));
            else
                without_figures.emplace_back(card.scorer, "score",
                                             "no error of it is a finite number, in any split and by any measure; the "
                                             "suite's values may be too large for it");
        }
        if (std::ranges::any_of(bench.rows, [](const ScorecardRow& row) {
                return row.scorer_class && row.scorer_class->model_budgets;
            }))
            bench.sharing_layers = sharing_layers();
        for (const auto& [scorer, error] : failures_) bench.failures.push_back(error);
        std::ranges::move(without_figures, std::back_inserter(bench.failures));
        return bench;
    }

    void note_joined_layers(BenchCut& cut) const {
        if (options_.shape.granularity != Granularity::model || traces_.empty()) return;
        const TraceSlot& first = traces_.front();
        if (first.layers == first.trace->num_layers()) return;
        cut.joined_layers = first.layers;
        cut.of_layers = first.trace->num_layers();
    }

    static bool any_figure(const ScorecardRow& row) {
        const auto finite = [](const SplitErrors& errors) { return std::isfinite(errors.average); };
        return std::ranges::any_of(row.splits, finite) || std::ranges::any_of(row.more_splits, [&](const auto& splits) {
                   return std::ranges::any_of(splits, finite);
               });
    }

    const Suite& suite_;
    std::span<const Scorer> scorers_;
    const BenchOptions& options_;
    std::unique_ptr<Protocol> protocol_;
    std::vector<TraceSlot> traces_;
    std::vector<Task> tasks_;
    std::vector<std::size_t> order_;    ///< of tasks, the costly ones first
    std::vector<LayerFigures> figures_; ///< [task]
    std::mutex mutex_;
    std::vector<std::size_t> failed_at_; ///< [scorer] the first task in which it broke
    std::map<std::size_t, PluginError> failures_;
    double done_cost_ = 0, total_cost_ = 0;
};

std::string_view to_string(RowKind kind) {
    constexpr std::array<std::string_view, 3> names{"plugin", "formula", "bound"};
    return names[static_cast<std::size_t>(kind)];
}

Bench run_bench(const Suite& suite, std::span<const Scorer> scorers, const BenchOptions& asked) {
    BenchOptions options = asked;
    if (options.protocol.empty()) options.protocol = usual_protocol(suite);
    check_protocol(options.protocol, suite);
    if (!options.keep.empty()) options.retentions = ScorecardRun::names_of_numbers(suite, options);
    if (options.retentions.empty()) options.retentions = usual_retentions(options.protocol);
    if (options.retentions.size() > most_retentions)
        throw UsageError(fmt::format("{} retentions are too many: a bench has at most {}", options.retentions.size(),
                                     most_retentions));
    for (const double r : options.retentions)
        if (!(r > 0 && r <= 1))
            throw UsageError(fmt::format("retention {} is out of range: it is the fraction of tokens kept, above 0 and "
                                         "at most 1",
                                         r));
    ScorerFailures failures;
    const std::vector<Scorer> matched = match_on_train(suite, scorers, options, failures);
    return ScorecardRun(suite, matched, options, std::move(failures)).run();
}

void throw_if_hindered(const Bench& bench) {
    for (const PluginError& failure : bench.failures)
        if (failure.blame == Blame::outside) throw PluginError(failure);
}

} // namespace evictlab
