// SPDX-License-Identifier: MIT
#include "framework/fitness/fitness.hpp"

#include <fmt/format.h>
#include <tbb/parallel_for.h>

#include <algorithm>
#include <array>
#include <map>
#include <numeric>

#include "base/error.hpp"
#include "framework/cut/cutter.hpp"
#include "framework/cut/kept_hash.hpp"
#include "framework/cut/rank_kernels.hpp"
#include "framework/scoring/layer_pass.hpp"
#include "framework/scoring/scorer_run.hpp"

namespace evictlab {
namespace {

constexpr std::size_t chunk_tokens = 4096; // whole rows; their columns fit the second-level cache
constexpr std::size_t jobs_a_task = 32;
constexpr std::size_t sampled_heads = 16; // of kept_hash()

/// Short rows are ranked in a copy; longer ones in place, where the cut needs room behind each.
constexpr std::size_t row_stride(std::size_t n) { return n <= small_row ? n : padded(n); }

using SharedValues = std::shared_ptr<const std::vector<double>>;

struct Row {
    std::size_t n, begin;
};

struct Chunk {
    std::size_t first_row, last_row, begin, size;
};

/// The judged rows of one head of one layer, row after row.
struct Block {
    std::size_t trace; ///< within its split
    std::vector<Row> rows;
    std::vector<Chunk> chunks;
    std::vector<std::size_t> kept;     ///< [row][retention]
    std::vector<double> attention;     ///< flat, as the columns
    std::vector<double> row_total;     ///< [row]
    std::vector<SharedValues> columns; ///< [registered column]; one value where it is uniform over the layer
};

void cut_into_chunks(Block& block) {
    Chunk chunk{0, 0, 0, 0};
    for (std::size_t r = 0; r < block.rows.size(); ++r) {
        chunk.size += row_stride(block.rows[r].n);
        chunk.last_row = r + 1;
        if (chunk.size < chunk_tokens && r + 1 < block.rows.size()) continue;
        block.chunks.push_back(chunk);
        chunk = {r + 1, r + 1, chunk.begin + chunk.size, 0};
    }
}

Block make_block(const Trace& trace, std::size_t layer, std::size_t head, std::span<const ColumnId> ids,
                 std::span<const double> retentions) {
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
void share_equal_columns(std::vector<Block>& blocks) {
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
struct Scratch {
    formula::Workspace workspace;
    std::vector<double> scores = std::vector<double>(chunk_tokens * 2);
    std::vector<formula::ColumnView> views;
    std::vector<double> kept_mass;
};

} // namespace

std::vector<RaceResult> Fitness::race(std::span<const FitnessJob> jobs, const StaysInRace&) const {
    std::vector<RaceResult> results;
    for (auto& errors : evaluate(SearchSplit::train, jobs)) results.push_back({std::move(errors)});
    return results;
}

FormulaErrors mean_over_documents(std::span<const std::size_t> document, std::size_t documents, std::size_t retentions,
                                  const double* errors) {
    FormulaErrors out;
    out.by_document.assign(documents, std::vector<double>(retentions, 0.0));
    std::vector<double> blocks(documents, 0.0);
    for (std::size_t i = 0; i < document.size(); ++i) {
        blocks[document[i]] += 1;
        for (std::size_t r = 0; r < retentions; ++r) out.by_document[document[i]][r] += errors[i * retentions + r];
    }
    out.by_retention.assign(retentions, 0.0);
    for (std::size_t d = 0; d < documents; ++d)
        for (std::size_t r = 0; r < retentions; ++r) {
            out.by_document[d][r] /= blocks[d];
            out.by_retention[r] += out.by_document[d][r];
        }
    for (double& error : out.by_retention) error /= static_cast<double>(documents);
    out.average =
        std::accumulate(out.by_retention.begin(), out.by_retention.end(), 0.0) / static_cast<double>(retentions);
    return out;
}

struct FitnessEvaluator::Impl {
    std::vector<double> retentions;
    std::vector<ColumnId> ids;                         ///< of the columns held
    std::vector<std::size_t> column_of_id;             ///< [ColumnId] place in ids
    std::array<std::vector<Block>, 2> blocks;          ///< by SearchSplit
    std::array<std::vector<std::size_t>, 2> documents; ///< of each block
    std::array<std::size_t, 2> traces{};
    std::array<std::size_t, 2> tokens{};

    void load(SearchSplit split, std::span<const TracePtr> from) {
        auto& to = blocks[static_cast<std::size_t>(split)];
        traces[static_cast<std::size_t>(split)] = from.size();
        struct Place {
            std::size_t trace, layer, head;
        };
        std::vector<Place> places;
        for (std::size_t t = 0; t < from.size(); ++t)
            for (const std::size_t layer : from[t]->held_layers())
                for (std::size_t head = 0; head < from[t]->heads(); ++head) places.push_back({t, layer, head});
        to.resize(places.size());
        tbb::parallel_for(std::size_t{0}, places.size(), [&](std::size_t i) {
            const Place& p = places[i];
            to[i] = make_block(*from[p.trace], p.layer, p.head, ids, retentions);
            to[i].trace = p.trace;
        });
        share_equal_columns(to);
        for (const Block& block : to) documents[static_cast<std::size_t>(split)].push_back(block.trace);
        for (const Block& block : to)
            for (const Row& row : block.rows) tokens[static_cast<std::size_t>(split)] += row.n;
    }

    /// Scores of `size` tokens of a block from `begin` on, into the scratch.
    void score(const Block& block, const FitnessJob& job, std::size_t begin, std::size_t size, Scratch& scratch) const {
        const auto needed = job.program->columns();
        scratch.views.resize(needed.size());
        for (std::size_t i = 0; i < needed.size(); ++i) {
            const std::vector<double>& values = *block.columns[column_of_id[needed[i]]];
            const bool uniform = values.size() == 1;
            scratch.views[i] = {values.data() + (uniform ? 0 : begin), uniform};
        }
        if (scratch.scores.size() < size + row_padding) scratch.scores.resize(size + row_padding);
        job.program->evaluate(scratch.views, job.constants, size, scratch.scores.data(), scratch.workspace);
    }

    std::uint64_t kept_hash(const FitnessJob& job) const {
        const auto& train = blocks[static_cast<std::size_t>(SearchSplit::train)];
        const std::size_t count = std::min(sampled_heads, train.size());
        static thread_local Scratch scratch;
        KeptHash hash;
        for (std::size_t i = 0; i < count; ++i) {
            const Block& block = train[spread_place(i, count, train.size())];
            const Row& row = block.rows.back();
            score(block, job, row.begin, row.n, scratch);
            for (std::size_t b = 0; b < retentions.size(); ++b)
                hash.add(
                    top_k({scratch.scores.data(), row.n}, block.kept[(block.rows.size() - 1) * retentions.size() + b]));
        }
        return hash.value();
    }

    /// Mean errors of one job over a block's rows.
    void judge(const Block& block, const FitnessJob& job, Scratch& scratch, double* errors) const {
        const std::size_t budgets = retentions.size();
        Cutter ranker(budgets);
        scratch.kept_mass.resize(budgets);
        std::fill(errors, errors + budgets, 0.0);
        for (const Chunk& chunk : block.chunks) {
            score(block, job, chunk.begin, chunk.size, scratch);
            for (std::size_t r = chunk.first_row; r < chunk.last_row; ++r) {
                const Row& row = block.rows[r];
                ranker.cut(scratch.scores.data() + (row.begin - chunk.begin), block.attention.data() + row.begin, row.n,
                           {block.kept.data() + r * budgets, budgets}, scratch.kept_mass.data());
                for (std::size_t b = 0; b < budgets; ++b)
                    errors[b] += (block.row_total[r] - scratch.kept_mass[b]) / block.row_total[r];
            }
        }
        for (std::size_t b = 0; b < budgets; ++b) errors[b] /= static_cast<double>(block.rows.size());
    }

    FormulaErrors summarise(SearchSplit split, const double* errors) const {
        const auto s = static_cast<std::size_t>(split);
        return mean_over_documents(documents[s], traces[s], retentions.size(), errors);
    }
};

FitnessEvaluator::FitnessEvaluator(SearchTraces traces, std::vector<double> retentions,
                                   std::span<const ColumnId> more_columns, std::size_t memory_limit)
    : impl_(std::make_unique<Impl>()) {
    impl_->retentions = std::move(retentions);
    impl_->ids = columns::of_the_seed();
    for (const ColumnId id : more_columns)
        if (std::ranges::find(impl_->ids, id) == impl_->ids.end()) impl_->ids.push_back(id);
    for (std::size_t i = 0; i < impl_->ids.size(); ++i) {
        impl_->column_of_id.resize(std::max<std::size_t>(impl_->column_of_id.size(), impl_->ids[i] + std::size_t{1}));
        impl_->column_of_id[impl_->ids[i]] = i;
    }
    double needed = 0;
    for (const auto& split : {traces.train, traces.valid})
        for (const TracePtr& t : split)
            needed +=
                static_cast<double>(t->seq_len()) * static_cast<double>(t->seq_len()) / 2 *
                static_cast<double>(t->held_layers().size() * t->heads() * (impl_->ids.size() + 1) * sizeof(double));
    if (needed > static_cast<double>(memory_limit))
        throw Error(
            fmt::format("the train and valid splits of this suite would need {:.1f} GB of memory while searching; "
                        "the limit is {:.1f} GB. Search on fewer patterns, for instance --patterns {}",
                        needed / 1e9, static_cast<double>(memory_limit) / 1e9,
                        std::max(1, static_cast<int>(static_cast<double>(traces.train.size()) *
                                                     static_cast<double>(memory_limit) / needed / 2))));
    impl_->load(SearchSplit::train, traces.train);
    impl_->load(SearchSplit::valid, traces.valid);
}

FitnessEvaluator::~FitnessEvaluator() = default;

std::vector<FormulaErrors> FitnessEvaluator::evaluate(SearchSplit split, std::span<const FitnessJob> jobs) const {
    const auto& blocks = impl_->blocks[static_cast<std::size_t>(split)];
    const std::size_t budgets = impl_->retentions.size();
    std::vector<double> errors(jobs.size() * blocks.size() * budgets);
    const std::size_t groups = (jobs.size() + jobs_a_task - 1) / jobs_a_task;
    tbb::parallel_for(std::size_t{0}, groups * blocks.size(), [&](std::size_t task) {
        const std::size_t block = task % blocks.size();
        const std::size_t first = task / blocks.size() * jobs_a_task;
        static thread_local Scratch scratch;
        for (std::size_t j = first; j < std::min(jobs.size(), first + jobs_a_task); ++j)
            impl_->judge(blocks[block], jobs[j], scratch, errors.data() + (j * blocks.size() + block) * budgets);
    });
    std::vector<FormulaErrors> out(jobs.size());
    for (std::size_t j = 0; j < jobs.size(); ++j)
        out[j] = impl_->summarise(split, errors.data() + j * blocks.size() * budgets);
    return out;
}

std::optional<std::uint64_t> FitnessEvaluator::kept_hash(const FitnessJob& job) const { return impl_->kept_hash(job); }

std::span<const double> FitnessEvaluator::retentions() const { return impl_->retentions; }

std::span<const ColumnId> FitnessEvaluator::columns() const { return impl_->ids; }

std::size_t FitnessEvaluator::work(SearchSplit split) const { return impl_->tokens[static_cast<std::size_t>(split)]; }

} // namespace evictlab
