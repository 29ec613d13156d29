// SPDX-License-Identifier: MIT
#include "framework/fitness/parameter_fitness.hpp"

#include <algorithm>
#include <numeric>

#include "base/statistics/geometric_mean.hpp"
#include "framework/protocols/protocol.hpp"

namespace evictlab {
namespace {

/// Work of one set on one token at one retention, in the unit of Fitness::work(); and the most that a set counts as,
/// since sets that are measured in one pass share its columns: some eight are to go together in any case.
constexpr std::size_t judging_work = 8, most_work = 1'000'000;

std::size_t work_on(std::span<const TracePtr> traces, std::size_t retentions) {
    std::size_t tokens = 0;
    for (const TracePtr& trace : traces) {
        const std::size_t rows = trace->captured() ? 1 : trace->seq_len(); // judged of a head
        tokens += trace->held_layers().size() * trace->heads() * trace->seq_len() * rows;
    }
    return std::min(most_work, judging_work * tokens * retentions);
}

} // namespace

FormulaErrors search_errors(const SplitErrors& errors, std::string_view measure) {
    FormulaErrors out{errors.by_retention, errors.average, errors.by_trace};
    if (measure_of(measure) != Measure::predicted_kl || errors.by_trace.empty()) return out;
    out.by_retention = geometric_means(errors.by_trace);
    out.average = std::accumulate(out.by_retention.begin(), out.by_retention.end(), 0.0) /
                  static_cast<double>(out.by_retention.size());
    return out;
}

ParameterFitness::ParameterFitness(const Suite& suite, ParameterSpace space, std::vector<double> retentions,
                                   std::string measure, const std::atomic<bool>* stop, const Shape& shape,
                                   std::vector<std::size_t> keep)
    : suite_(suite), space_(std::move(space)), retentions_(std::move(retentions)), measure_(std::move(measure)),
      shape_(shape), keep_(std::move(keep)), stop_(stop) {
    const SearchTraces traces = suite.search_traces();
    work_ = {work_on(traces.train, retentions_.size()), work_on(traces.valid, retentions_.size())};
}

std::vector<FormulaErrors> ParameterFitness::evaluate(SearchSplit split, std::span<const FitnessJob> jobs) const {
    std::vector<FormulaErrors> out(jobs.size());
    std::vector<Scorer> scorers;
    std::vector<std::size_t> job_of;
    for (std::size_t j = 0; j < jobs.size(); ++j) {
        try {
            Scorer scorer = space_.scorer(jobs[j].constants);
            out[j].failure = refusal(scorer, suite_, usual_protocol(suite_), shape_);
            if (!out[j].failure.empty()) continue;
            scorers.push_back(std::move(scorer));
            job_of.push_back(j);
        } catch (const PluginError& error) {
            if (error.blame == Blame::outside) throw;
            out[j].failure = error.cause; // what() names the plugin's file, which is of this machine only
        } catch (const UsageError& error) {
            out[j].failure = error.what();
        }
    }
    if (scorers.empty()) return out;
    BenchOptions options;
    options.retentions = retentions_;
    options.measure = measure_;
    options.shape = shape_;
    options.keep = keep_;
    options.for_search = true;
    options.only = split;
    options.stop = stop_;
    const Bench bench = run_bench(suite_, scorers, options);
    throw_if_hindered(bench);
    auto row = bench.rows.begin(); // those that broke have none, and are told in the same order
    auto failed = bench.failures.begin();
    for (std::size_t i = 0; i < scorers.size(); ++i)
        if (row != bench.rows.end() && row->scorer == scorers[i].label())
            out[job_of[i]] = search_errors((row++)->splits[static_cast<std::size_t>(split)], bench.measure);
        else
            out[job_of[i]].failure = (failed++)->cause;
    return out;
}

} // namespace evictlab
