// SPDX-License-Identifier: MIT
#include "framework/fitness/rescore_fitness.hpp"

#include <tbb/parallel_for.h>

#include <algorithm>
#include <iterator>
#include <map>

#include "framework/cut/budget.hpp"
#include "framework/cut/cutter.hpp"
#include "framework/cut/rank_kernels.hpp"
#include "framework/cut/top_k.hpp"
#include "framework/scoring/layer_pass.hpp"

namespace evictlab {
namespace {

constexpr std::size_t chunk_tokens = 4096; // whole rows; their columns fit the second-level cache
constexpr std::size_t jobs_a_task = 32;

/// Short rows are ranked in a copy; longer ones in place, where the cut needs room behind each.
constexpr std::size_t row_stride(std::size_t n) { return n <= small_row ? n : padded(n); }

using SharedValues = std::shared_ptr<const std::vector<double>>;

struct Row {
    std::size_t n, begin;
};

struct Chunk {
    std::size_t first_row, last_row, begin, size;
};

std::vector<ColumnId> with_the_seeds(std::span<const ColumnId> more) {
    std::vector<ColumnId> ids = columns::of_the_seed();
    for (const ColumnId id : more)
        if (std::ranges::find(ids, id) == ids.end()) ids.push_back(id);
    return ids;
}

} // namespace

/// The judged rows of one head of one layer, row after row.
struct RescoreFitness::Block {
    std::size_t trace; ///< within its split
    std::vector<Row> rows;
    std::vector<Chunk> chunks;
    std::vector<std::size_t> kept;     ///< [row][retention]
    std::vector<double> attention;     ///< flat, as the columns
    std::vector<double> row_total;     ///< [row]
    std::vector<SharedValues> columns; ///< [place]; one value where it is uniform over the layer
};

void RescoreFitness::cut_into_chunks(Block& block) {
    Chunk chunk{0, 0, 0, 0};
    for (std::size_t r = 0; r < block.rows.size(); ++r) {
        chunk.size += row_stride(block.rows[r].n);
        chunk.last_row = r + 1;
        if (chunk.size < chunk_tokens && r + 1 < block.rows.size()) continue;
        block.chunks.push_back(chunk);
        chunk = {r + 1, r + 1, chunk.begin + chunk.size, 0};
    }
}

RescoreFitness::Block RescoreFitness::make_block(const Trace& trace, std::size_t layer, std::size_t head,
                                                 std::span<const ColumnId> ids, std::span<const double> retentions) {
    LayerPass pass(trace, layer, ids);
    Block block;
    std::vector<std::vector<double>> values(ids.size());
    while (pass.advance()) {
        if (!pass.judged()) continue;
        const std::size_t n = pass.tokens();
        block.rows.push_back({n, block.attention.size()});
        const auto append = [stride = row_stride(n), n](std::vector<double>& to, const double* from, bool uniform) {
            if (uniform)
                to.insert(to.end(), stride, *from);
            else
                to.insert(to.end(), from, from + n);
            to.resize(to.size() + (uniform ? 0 : stride - n), 0.0);
        };
        append(block.attention, pass.attention(head), false);
        block.row_total.push_back(sum(pass.attention(head), n));
        for (const double r : retentions) block.kept.push_back(kept_count(n, r));
        for (std::size_t c = 0; c < ids.size(); ++c) {
            const formula::ColumnView view = pass.columns().view(c, head);
            if (columns::kind(ids[c]) == ColumnKind::layer)
                values[c].assign(1, *view.data);
            else
                append(values[c], view.data, view.uniform);
        }
    }
    for (auto& v : values) {
        if (v.size() > 1) v.resize(v.size() + row_padding, 0.0);
        block.columns.push_back(std::make_shared<const std::vector<double>>(std::move(v)));
    }
    block.attention.resize(block.attention.size() + row_padding, 0.0);
    cut_into_chunks(block);
    return block;
}

/// Columns such as `position` are the same in every layer and trace of a length: kept once.
void RescoreFitness::share_equal_columns(std::vector<Block>& blocks) {
    std::map<std::pair<std::size_t, std::size_t>, SharedValues> seen; // by column and size
    for (Block& block : blocks)
        for (std::size_t c = 0; c < block.columns.size(); ++c) {
            auto& first = seen[{c, block.columns[c]->size()}];
            if (first && *first == *block.columns[c])
                block.columns[c] = first;
            else
                first = block.columns[c];
        }
}

/// Scratch of one thread: a tuner asks for few formulas at a time, and making it anew each time would take as long.
struct RescoreFitness::Scratch {
    formula::Workspace workspace;
    std::vector<double> scores = std::vector<double>(chunk_tokens * 2);
    std::vector<formula::ColumnView> views;
    std::vector<double> kept_mass;
};

RescoreFitness::RescoreFitness(SearchTraces traces, std::vector<double> retentions,
                               std::span<const ColumnId> more_columns, std::size_t memory_limit,
                               std::shared_ptr<const UnitsElsewhere> elsewhere)
    : HeldFitness(std::move(retentions), with_the_seeds(more_columns), jobs_a_task, std::move(elsewhere)) {
    if (!holds_units()) return;
    double needed = 0;
    for (const auto& split : {traces.train, traces.valid})
        for (const TracePtr& t : split)
            needed +=
                static_cast<double>(t->seq_len()) * static_cast<double>(t->seq_len()) / 2 *
                static_cast<double>(t->held_layers().size() * t->heads() * (columns_.size() + 1) * sizeof(double));
    check_memory("this suite", needed, memory_limit, traces.train.size());
    splits_ = {load(traces.train, layouts_[0]), load(traces.valid, layouts_[1])};
}

RescoreFitness::~RescoreFitness() = default;

std::vector<RescoreFitness::Block> RescoreFitness::load(std::span<const TracePtr> from, UnitLayout& layout) const {
    std::vector<Block> blocks;
    std::vector<std::vector<Block>> layers;
    for_each_layer(
        from, [&](std::size_t count) { layers.resize(count); },
        [&](std::size_t i, const Trace& trace, std::size_t layer, std::size_t document) {
            layers[i].resize(trace.heads());
            tbb::parallel_for(std::size_t{0}, trace.heads(), [&](std::size_t head) {
                layers[i][head] = make_block(trace, layer, head, places_.ids(), retentions_);
                layers[i][head].trace = document;
            });
        });
    for (auto& heads : layers) std::ranges::move(heads, std::back_inserter(blocks));
    share_equal_columns(blocks);
    layout.traces = from.size();
    for (const Block& block : blocks) {
        layout.documents.push_back(block.trace);
        for (const Row& row : block.rows) layout.tokens += row.n;
    }
    layout.head_documents = layout.documents;
    return blocks;
}

void RescoreFitness::score(const Block& block, const FitnessJob& job, std::size_t begin, std::size_t size,
                           Scratch& scratch) const {
    const auto needed = job.program->columns();
    scratch.views.resize(needed.size());
    for (std::size_t i = 0; i < needed.size(); ++i) {
        const std::vector<double>& values = *block.columns[places_.of(needed[i])];
        const bool uniform = values.size() == 1;
        scratch.views[i] = {values.data() + (uniform ? 0 : begin), uniform};
    }
    if (scratch.scores.size() < size + row_padding) scratch.scores.resize(size + row_padding);
    job.program->evaluate(scratch.views, job.constants, size, scratch.scores.data(), scratch.workspace);
}

void RescoreFitness::measure_block(const Block& block, const FitnessJob& job, Scratch& scratch, double* errors) const {
    const std::size_t budgets = retentions_.size();
    Cutter cutter(budgets);
    scratch.kept_mass.resize(budgets);
    std::fill(errors, errors + budgets, 0.0);
    for (const Chunk& chunk : block.chunks) {
        score(block, job, chunk.begin, chunk.size, scratch);
        for (std::size_t r = chunk.first_row; r < chunk.last_row; ++r) {
            const Row& row = block.rows[r];
            cutter.cut(scratch.scores.data() + (row.begin - chunk.begin), block.attention.data() + row.begin, row.n,
                       {block.kept.data() + r * budgets, budgets}, scratch.kept_mass.data());
            for (std::size_t b = 0; b < budgets; ++b)
                errors[b] += (block.row_total[r] - scratch.kept_mass[b]) / block.row_total[r];
        }
    }
    for (std::size_t b = 0; b < budgets; ++b) errors[b] /= static_cast<double>(block.rows.size());
}

void RescoreFitness::measure_unit(const UnitPart& part, std::size_t unit, const FitnessJob& job, double* errors) const {
    static thread_local Scratch scratch;
    measure_block(blocks(part.split)[unit], job, scratch, errors);
}

std::vector<FormulaErrors> RescoreFitness::evaluate(SearchSplit split, std::span<const FitnessJob> jobs) const {
    const UnitLayout& units = layout(split);
    UnitErrors errors(jobs.size(), units.documents.size(), retentions_.size());
    const UnitPart all{.split = split,
                       .units = indices_below(units.documents.size()),
                       .retentions = indices_below(retentions_.size())};
    measure(all, jobs, indices_below(jobs.size()), errors);
    std::vector<FormulaErrors> out(jobs.size());
    for (std::size_t j = 0; j < jobs.size(); ++j)
        out[j] = mean_over_documents(units.documents, units.traces, retentions_.size(), errors.of(j));
    return out;
}

/// In its longest row.
void RescoreFitness::add_kept(const FitnessJob& job, std::size_t train_head, KeptHash& hash) const {
    static thread_local Scratch scratch;
    const Block& block = blocks(SearchSplit::train)[train_head];
    const Row& row = block.rows.back();
    score(block, job, row.begin, row.n, scratch);
    for (std::size_t b = 0; b < retentions_.size(); ++b)
        hash.add(top_k({scratch.scores.data(), row.n}, block.kept[(block.rows.size() - 1) * retentions_.size() + b]));
}

std::size_t RescoreFitness::work(SearchSplit split) const { return layout(split).tokens; }

} // namespace evictlab
