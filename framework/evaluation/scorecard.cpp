// SPDX-License-Identifier: MIT
#include "framework/evaluation/scorecard.hpp"

#include <fmt/format.h>
#include <tbb/global_control.h>
#include <tbb/parallel_for.h>
#include <tbb/task_arena.h>

#include <algorithm>
#include <mutex>
#include <numeric>

#include "framework/evaluation/layer_judge.hpp"

namespace evictlab {

/// One benching of a suite: the only place that may open the test split.
class ScorecardRun {
public:
    ScorecardRun(const Suite& suite, std::span<const Scorer> scorers, const BenchOptions& options)
        : suite_(suite), options_(options), judge_(scorers, options.retentions), failed_at_(scorers.size(), no_task) {
        for (const Split split : all_splits)
            for (const TracePtr& trace : suite.traces(split, ReportingKey{})) add_trace(split, trace);
        std::ranges::stable_sort(order_, std::greater<>(), [this](std::size_t t) { return tasks_[t].cost; });
    }

    Bench run() {
        judge_.create_shared_instances(failures_);
        for (const auto& [scorer, error] : failures_) failed_at_[scorer] = 0;
        const auto work = [this] {
            tbb::parallel_for(
                std::size_t{0}, order_.size(), [this](std::size_t i) { run_task(order_[i]); },
                tbb::simple_partitioner());
        };
        if (options_.threads > 0) {
            const tbb::global_control limit(tbb::global_control::max_allowed_parallelism,
                                            static_cast<std::size_t>(options_.threads));
            tbb::task_arena(options_.threads).execute(work);
        } else {
            work();
        }
        return collect();
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
        std::size_t first_task, layers; ///< a task for each held layer
    };

    void add_trace(Split split, const TracePtr& trace) {
        const std::vector<std::size_t> layers = trace->held_layers();
        traces_.push_back({split, trace, tasks_.size(), layers.size()});
        const auto n = static_cast<double>(trace->seq_len());
        for (const std::size_t layer : layers) {
            order_.push_back(tasks_.size());
            tasks_.push_back({traces_.size() - 1, layer, n * n / 2 * static_cast<double>(trace->heads())});
            total_cost_ += tasks_.back().cost;
        }
        errors_.resize(tasks_.size());
    }

    void run_task(std::size_t index) {
        const Task& task = tasks_[index];
        const Trace& trace = *traces_[task.trace].trace;
        auto skip = [this, index](std::size_t scorer) {
            const std::lock_guard lock(mutex_);
            return failed_at_[scorer] < index;
        };
        auto failed = [this, index](std::size_t scorer, PluginError error) {
            const std::lock_guard lock(mutex_);
            if (index > failed_at_[scorer]) return;
            failed_at_[scorer] = index; // of several failures the first in the suite's order is told
            failures_.insert_or_assign(scorer, std::move(error));
        };
        errors_[index] = judge_.judge(trace, task.layer, options_.stop, skip, failed);
        const std::lock_guard lock(mutex_);
        done_cost_ += task.cost;
        if (options_.progress) options_.progress(done_cost_, total_cost_);
    }

    /// Means in a fixed order: rows and heads (in the judge), layers, traces, retentions.
    SplitErrors split_errors(Split split, std::size_t scorer) const {
        const std::size_t retentions = options_.retentions.size();
        SplitErrors out;
        out.by_retention.assign(retentions, 0);
        for (const TraceSlot& slot : traces_) {
            if (slot.split != split) continue;
            std::vector<double> mean(retentions, 0);
            for (std::size_t task = slot.first_task; task < slot.first_task + slot.layers; ++task)
                for (std::size_t r = 0; r < retentions; ++r) mean[r] += errors_[task][scorer * retentions + r];
            for (std::size_t r = 0; r < retentions; ++r) {
                mean[r] /= static_cast<double>(slot.layers);
                out.by_retention[r] += mean[r];
            }
            out.by_trace.push_back(std::move(mean));
        }
        for (double& error : out.by_retention) error /= static_cast<double>(out.by_trace.size());
        out.average =
            std::accumulate(out.by_retention.begin(), out.by_retention.end(), 0.0) / static_cast<double>(retentions);
        return out;
    }

    Bench collect() const {
        Bench bench;
        bench.suite = suite_.name();
        bench.suite_hash = suite_.hash();
        bench.suite_parameters_json = suite_.parameters_json();
        bench.protocol = "rescore";
        bench.retentions = options_.retentions;
        for (const TraceSlot& slot : traces_)
            bench.traces[static_cast<std::size_t>(slot.split)].push_back({slot.trace->name(), ""});
        const std::span<const Scorer> scorers = judge_.scorers();
        for (std::size_t s = 0; s <= scorers.size(); ++s) {
            if (failures_.contains(s)) continue;
            ScorecardRow row;
            const bool oracle = s == scorers.size();
            row.scorer = oracle ? "oracle" : scorers[s].label();
            row.kind = oracle ? RowKind::bound : scorers[s].is_formula() ? RowKind::formula : RowKind::plugin;
            if (row.kind == RowKind::formula) row.formula = formula::print(scorers[s].formula());
            for (const Split split : all_splits) row.splits[static_cast<std::size_t>(split)] = split_errors(split, s);
            bench.rows.push_back(std::move(row));
        }
        for (const auto& [scorer, error] : failures_) bench.failures.push_back(error);
        return bench;
    }

    const Suite& suite_;
    const BenchOptions& options_;
    LayerJudge judge_;
    std::vector<TraceSlot> traces_;
    std::vector<Task> tasks_;
    std::vector<std::size_t> order_;          ///< of tasks, the costly ones first
    std::vector<std::vector<double>> errors_; ///< [task][scorer (the oracle last) * retentions + retention]
    std::mutex mutex_;
    std::vector<std::size_t> failed_at_; ///< [scorer] the first task in which it broke
    std::map<std::size_t, PluginError> failures_;
    double done_cost_ = 0, total_cost_ = 0;
};

std::string_view to_string(RowKind kind) {
    constexpr std::array<std::string_view, 3> names{"plugin", "formula", "bound"};
    return names[static_cast<std::size_t>(kind)];
}

Bench run_bench(const Suite& suite, std::span<const Scorer> scorers, const BenchOptions& options) {
    if (options.retentions.empty()) throw UsageError("no retention given");
    for (const double r : options.retentions)
        if (!(r > 0 && r <= 1))
            throw UsageError(fmt::format("retention {} is out of range: it is the fraction of tokens kept, above 0 and "
                                         "at most 1",
                                         r));
    return ScorecardRun(suite, scorers, options).run();
}

} // namespace evictlab
