// Fast errors of many formulas by the protocol rescore: the columns of all judged rows are held in memory, blocked so
// that they stay in cache while many formulas pass over them. SPDX-License-Identifier: MIT
#pragma once
#include "framework/fitness/held_fitness.hpp"

namespace evictlab {

/// Figures agree with run_bench's to rounding (1e-12). Thread-safe once made. The sample behind kept_hash() is the
/// longest row of each head.
class RescoreFitness final : public HeldFitness {
public:
    /// Holds the seed's columns of the traces' judged rows, and `more_columns`; throws Error if that would need more
    /// than `memory_limit` bytes (with the number of patterns that would fit). With `elsewhere` it holds nothing.
    RescoreFitness(SearchTraces traces, std::vector<double> retentions, std::span<const ColumnId> more_columns = {},
                   std::size_t memory_limit = std::size_t{6} << 30,
                   std::shared_ptr<const UnitsElsewhere> elsewhere = nullptr);
    ~RescoreFitness() override;
    std::vector<FormulaErrors> evaluate(SearchSplit split, std::span<const FitnessJob> jobs) const override;
    std::size_t work(SearchSplit split) const override;

private:
    struct Block;
    struct Scratch;
    static void cut_into_chunks(Block& block);
    static Block make_block(const Trace& trace, std::size_t layer, std::size_t head, std::span<const ColumnId> ids,
                            std::span<const double> retentions);
    static void share_equal_columns(std::vector<Block>& blocks);
    std::vector<Block> load(std::span<const TracePtr> from, UnitLayout& layout) const;
    const std::vector<Block>& blocks(SearchSplit split) const { return splits_[static_cast<std::size_t>(split)]; }
    /// Scores of `size` tokens of a block from `begin` on, into the scratch.
    void score(const Block& block, const FitnessJob& job, std::size_t begin, std::size_t size, Scratch& scratch) const;
    /// Mean errors of one job over a block's rows.
    void measure_block(const Block& block, const FitnessJob& job, Scratch& scratch, double* errors) const;
    void measure_unit(const UnitPart& part, std::size_t unit, const FitnessJob& job, double* errors) const override;
    void add_kept(const FitnessJob& job, std::size_t train_head, KeptHash& hash) const override;

    std::array<std::vector<Block>, 2> splits_; ///< by SearchSplit
};

} // namespace evictlab
