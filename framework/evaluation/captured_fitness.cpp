// SPDX-License-Identifier: MIT
#include "framework/evaluation/captured_fitness.hpp"

#include <fmt/format.h>
#include <tbb/parallel_for.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>

#include "framework/evaluation/captured_protocol.hpp"
#include "framework/evaluation/rank.hpp"

namespace evictlab {
namespace {

constexpr std::size_t jobs_a_task = 16;
constexpr double least_kl = 1e-9;             // that has a logarithm
constexpr std::size_t output_error_work = 32; // of one retention, as many times that of scoring and ranking a token

/// One layer of one trace.
struct Block {
    std::size_t trace = 0; ///< within its split
    std::size_t heads = 0, tokens = 0;
    std::vector<std::size_t> kept;                  ///< [retention], a head
    std::vector<std::vector<double>> columns;       ///< [column]: [heads][padded tokens], or one value
    std::vector<double> mean_attention;             ///< [heads][padded tokens]
    std::vector<double> total;                      ///< [head], of mean_attention
    std::unique_ptr<const ContinuationJudge> judge; ///< without a metric where only attention loss is measured
    const double* column(std::size_t index, std::size_t head) const {
        const auto& values = columns[index];
        return values.data() + (values.size() > 1 ? head * padded(tokens) : 0);
    }
};

/// Of one thread.
struct Scratch {
    formula::Workspace workspace;
    std::vector<formula::ColumnView> views;
    std::vector<double> scores, kept_mass;
    JudgeScratch judge;
    std::vector<std::vector<std::uint32_t>> kept;
    std::vector<float> responses; ///< [retention][response], summed over layers
};

Block make_block(const CapturedTrace& trace, std::size_t layer, std::span<const ColumnId> ids,
                 std::span<const double> retentions, const OutputMetric* metric, bool with_sensitivity) {
    const bool wov = std::ranges::any_of(ids, [](ColumnId id) { return columns::needs(id) == ColumnNeeds::wov_norm; });
    const CapturedLayer loaded(trace, layer, wov);
    PromptColumns columns(loaded.view(), ids);
    Block block;
    block.heads = loaded.view().shape().kv_heads;
    block.tokens = trace.prompt_len();
    const std::size_t stride = padded(block.tokens);
    for (const double r : retentions) block.kept.push_back(kept_count_for_removed(block.tokens, 1.0 - r));
    for (std::size_t c = 0; c < ids.size(); ++c) {
        auto& values = block.columns.emplace_back();
        if (const auto view = columns.columns().view(c, 0); view.uniform) {
            values.assign(1, *view.data);
            continue;
        }
        values.resize(block.heads * stride);
        for (std::size_t a = 0; a < block.heads; ++a)
            std::copy_n(columns.columns().view(c, a).data, block.tokens,
                        values.begin() + static_cast<std::ptrdiff_t>(a * stride));
    }
    block.judge = std::make_unique<ContinuationJudge>(
        loaded.rows(), block.tokens, metric, with_sensitivity ? trace.load_sensitivity(layer) : AlignedFloats{});
    block.mean_attention.resize(block.heads * stride);
    for (std::size_t a = 0; a < block.heads; ++a) {
        const auto mean = block.judge->mean_attention(a);
        std::ranges::copy(mean, block.mean_attention.begin() + static_cast<std::ptrdiff_t>(a * stride));
        block.total.push_back(std::accumulate(mean.begin(), mean.end(), 0.0));
    }
    return block;
}

} // namespace

struct CapturedFitness::Impl {
    std::vector<double> retentions;
    std::vector<ColumnId> ids;
    CapturedMeasure measure = CapturedMeasure::output_error;
    OutputMetrics metrics;
    std::array<std::vector<Block>, 2> blocks; ///< by SearchSplit
    std::array<std::size_t, 2> traces{}, tokens{};

    void load(SearchSplit split, std::span<const TracePtr> from) {
        const auto s = static_cast<std::size_t>(split);
        traces[s] = from.size();
        std::vector<std::pair<std::size_t, std::size_t>> places;
        for (std::size_t t = 0; t < from.size(); ++t)
            for (const std::size_t layer : from[t]->held_layers()) places.emplace_back(t, layer);
        blocks[s].resize(places.size());
        tbb::parallel_for(std::size_t{0}, places.size(), [&](std::size_t i) {
            const auto [t, layer] = places[i];
            const CapturedTrace& trace = *from[t]->captured();
            const bool foretells = measure == CapturedMeasure::predicted_kl;
            blocks[s][i] =
                make_block(trace, layer, ids, retentions,
                           measure == CapturedMeasure::output_error ? metrics.of(trace, layer) : nullptr, foretells);
            blocks[s][i].trace = t;
        });
        for (const Block& block : blocks[s]) tokens[s] += block.heads * block.tokens;
    }

    /// Scores of one head, with room behind as the cut wants.
    double* score(const Block& block, const FitnessJob& job, std::size_t head, Scratch& scratch) const {
        const auto needed = job.program->columns();
        scratch.views.resize(needed.size());
        for (std::size_t i = 0; i < needed.size(); ++i) {
            const auto c = static_cast<std::size_t>(std::ranges::lower_bound(ids, needed[i]) - ids.begin());
            scratch.views[i] = {block.column(c, head), block.columns[c].size() == 1};
        }
        scratch.scores.resize(std::max(scratch.scores.size(), padded(block.tokens) + row_padding));
        job.program->evaluate(scratch.views, job.constants, block.tokens, scratch.scores.data(), scratch.workspace);
        return scratch.scores.data();
    }

    void attention_loss(const Block& block, const FitnessJob& job, Scratch& scratch, double* errors) const {
        Ranker ranker(retentions.size());
        scratch.kept_mass.resize(retentions.size());
        for (std::size_t a = 0; a < block.heads; ++a) {
            ranker.cut(score(block, job, a, scratch), block.mean_attention.data() + a * padded(block.tokens),
                       block.tokens, block.kept, scratch.kept_mass.data());
            for (std::size_t r = 0; r < retentions.size(); ++r)
                errors[r] += (block.total[a] - scratch.kept_mass[r]) / static_cast<double>(block.heads);
        }
    }

    /// Calls take(retention, damage) for each; the scratch holds the change of outputs meanwhile.
    template <class Take>
    void judge(const Block& block, const FitnessJob& job, Scratch& scratch, Take take) const {
        std::vector<std::vector<double>> scores;
        for (std::size_t a = 0; a < block.heads; ++a) {
            const double* values = score(block, job, a, scratch);
            scores.emplace_back(values, values + block.tokens);
        }
        scratch.kept.resize(block.heads);
        for (std::size_t r = 0; r < retentions.size(); ++r) {
            for (std::size_t a = 0; a < block.heads; ++a) scratch.kept[a] = top_k(scores[a], block.kept[r]);
            take(r, block.judge->judge(scratch.kept, scratch.judge));
        }
    }

    void output_error(const Block& block, const FitnessJob& job, Scratch& scratch, double* errors) const {
        judge(block, job, scratch, [&](std::size_t r, const Damage& damage) { errors[r] = damage.output_error; });
    }

    /// Of one trace, whose layers are these blocks.
    void predicted_kl_of(std::span<const Block> layers, const FitnessJob& job, Scratch& scratch, double* errors) const {
        const std::size_t count = layers.front().judge->responses();
        scratch.responses.assign(count * retentions.size(), 0.0F);
        for (const Block& block : layers)
            judge(block, job, scratch, [&](std::size_t r, const Damage&) {
                block.judge->respond(scratch.judge, std::span(scratch.responses).subspan(r * count, count));
            });
        for (std::size_t r = 0; r < retentions.size(); ++r)
            errors[r] = predicted_kl(std::span(scratch.responses).subspan(r * count, count));
    }

    std::vector<FormulaErrors> predicted_kl_of_all(std::size_t split, std::span<const FitnessJob> jobs) const {
        const std::size_t count = retentions.size(), documents = traces[split];
        std::vector<double> errors(jobs.size() * documents * count);
        tbb::parallel_for(std::size_t{0}, jobs.size() * documents, [&](std::size_t task) {
            static thread_local Scratch scratch;
            const auto layers = std::ranges::equal_range(blocks[split], task % documents, {}, &Block::trace);
            predicted_kl_of({layers.data(), layers.size()}, jobs[task / documents], scratch,
                            errors.data() + task * count);
        });
        std::vector<FormulaErrors> out(jobs.size());
        for (std::size_t j = 0; j < jobs.size(); ++j) {
            out[j].by_retention.assign(count, 0.0);
            for (std::size_t d = 0; d < documents; ++d)
                for (std::size_t r = 0; r < count; ++r)
                    out[j].by_retention[r] += std::log(std::max(least_kl, errors[(j * documents + d) * count + r]));
            for (double& error : out[j].by_retention) {
                error = std::exp(error / static_cast<double>(documents));
                out[j].average += error / static_cast<double>(count);
            }
        }
        return out;
    }

    /// Means over the layers of a trace, then over traces, in order. `errors` is [block][retention].
    FormulaErrors summarise(std::size_t split, const double* errors) const {
        const std::size_t count = retentions.size();
        std::vector<double> sums(traces[split] * count, 0.0), layers(traces[split], 0.0);
        for (std::size_t i = 0; i < blocks[split].size(); ++i) {
            layers[blocks[split][i].trace] += 1;
            for (std::size_t r = 0; r < count; ++r) sums[blocks[split][i].trace * count + r] += errors[i * count + r];
        }
        FormulaErrors out;
        out.by_retention.assign(count, 0.0);
        for (std::size_t t = 0; t < traces[split]; ++t)
            for (std::size_t r = 0; r < count; ++r) out.by_retention[r] += sums[t * count + r] / layers[t];
        for (double& error : out.by_retention) error /= static_cast<double>(traces[split]);
        out.average =
            std::accumulate(out.by_retention.begin(), out.by_retention.end(), 0.0) / static_cast<double>(count);
        return out;
    }
};

CapturedFitness::CapturedFitness(const Suite& suite, std::vector<double> retentions, std::span<const ColumnId> columns,
                                 CapturedMeasure measure, std::size_t memory_limit)
    : impl_(std::make_unique<Impl>()) {
    impl_->retentions = std::move(retentions);
    impl_->ids.assign(columns.begin(), columns.end());
    std::ranges::sort(impl_->ids);
    impl_->ids.erase(std::unique(impl_->ids.begin(), impl_->ids.end()), impl_->ids.end());
    impl_->measure = measure;
    const SearchTraces traces = suite.search_traces();
    if (measure == CapturedMeasure::predicted_kl && !suite.has_sensitivities())
        throw Error(fmt::format("not every trace of suite '{}' holds sensitivities, so no KL divergence can be "
                                "predicted on it; use output_error, or capture it with --probes 8",
                                suite.name()));
    double needed = 0;
    for (const auto& split : {traces.train, traces.valid})
        for (const TracePtr& trace : split)
            for (const std::size_t layer : trace->held_layers()) {
                const CapturedTrace& captured = *trace->captured();
                const LayerShape shape = captured.shape(layer);
                const auto n = static_cast<double>(captured.prompt_len());
                if (measure == CapturedMeasure::predicted_kl)
                    needed += static_cast<double>(captured.probes() * (shape.tokens - captured.prompt_len()) *
                                                  shape.query_heads * shape.dim * 4);
                needed += n * (static_cast<double>(shape.query_heads * (shape.tokens - captured.prompt_len())) * 4 +
                               static_cast<double>(shape.kv_heads * (impl_->ids.size() + 1)) * 8);
                if (measure == CapturedMeasure::output_error && !captured.output_projections())
                    throw Error(
                        fmt::format("suite '{}' has no output projections (model.safetensors), so no output error "
                                    "can be measured on it; use attention_loss",
                                    suite.name()));
            }
    if (needed > static_cast<double>(memory_limit))
        throw Error(
            fmt::format("the train and valid splits of suite '{}' would need {:.1f} GB of memory while searching; "
                        "the limit is {:.1f} GB. Search on fewer documents, for instance --patterns {}",
                        suite.name(), needed / 1e9, static_cast<double>(memory_limit) / 1e9,
                        std::max(1, static_cast<int>(static_cast<double>(traces.train.size()) *
                                                     static_cast<double>(memory_limit) / needed / 2))));
    impl_->load(SearchSplit::train, traces.train);
    impl_->load(SearchSplit::valid, traces.valid);
}

CapturedFitness::~CapturedFitness() = default;

std::string_view to_string(CapturedMeasure measure) {
    constexpr std::array<std::string_view, 3> names{"attention_loss", "output_error", "predicted_kl"};
    return names[static_cast<std::size_t>(measure)];
}

std::vector<FormulaErrors> CapturedFitness::evaluate(SearchSplit split, std::span<const FitnessJob> jobs,
                                                     CapturedMeasure measure) const {
    const auto s = static_cast<std::size_t>(split);
    if (measure == CapturedMeasure::predicted_kl) return impl_->predicted_kl_of_all(s, jobs);
    const auto& blocks = impl_->blocks[s];
    const std::size_t count = impl_->retentions.size(), groups = (jobs.size() + jobs_a_task - 1) / jobs_a_task;
    std::vector<double> errors(jobs.size() * blocks.size() * count);
    tbb::parallel_for(std::size_t{0}, groups * blocks.size(), [&](std::size_t task) {
        const std::size_t block = task % blocks.size(), first = task / blocks.size() * jobs_a_task;
        static thread_local Scratch scratch;
        for (std::size_t j = first; j < std::min(jobs.size(), first + jobs_a_task); ++j) {
            double* out = errors.data() + (j * blocks.size() + block) * count;
            if (measure == CapturedMeasure::attention_loss)
                impl_->attention_loss(blocks[block], jobs[j], scratch, out);
            else
                impl_->output_error(blocks[block], jobs[j], scratch, out);
        }
    });
    std::vector<FormulaErrors> out(jobs.size());
    for (std::size_t j = 0; j < jobs.size(); ++j)
        out[j] = impl_->summarise(s, errors.data() + j * blocks.size() * count);
    return out;
}

std::vector<FormulaErrors> CapturedFitness::evaluate(SearchSplit split, std::span<const FitnessJob> jobs) const {
    return evaluate(split, jobs, impl_->measure);
}

std::span<const double> CapturedFitness::retentions() const { return impl_->retentions; }

std::span<const ColumnId> CapturedFitness::columns() const { return impl_->ids; }

std::size_t CapturedFitness::work(SearchSplit split) const {
    const std::size_t tokens = impl_->tokens[static_cast<std::size_t>(split)];
    return impl_->measure == CapturedMeasure::attention_loss ? tokens
                                                             : tokens * output_error_work * impl_->retentions.size();
}

} // namespace evictlab
