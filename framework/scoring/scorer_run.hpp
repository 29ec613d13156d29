// Which tokens a scorer keeps in one layer: its scores, the budget of the layer and of each head, and the cut.
// One-shot eviction at the end of a prompt, as NVIDIA's kvpress 0.5.5 does it.
// SPDX-License-Identifier: MIT
#pragma once
#include <cstddef>
#include <memory>
#include <span>
#include <vector>

#include "framework/cut/budget.hpp"
#include "framework/cut/shaped_cut.hpp"
#include "framework/scorers/scorer.hpp"
#include "framework/scoring/layer_input.hpp"

namespace evictlab {

/// A scorer made ready to run: its instance and, of a wrapper, that of the scorer inside.
class ScorerRun {
public:
    /// Throws PluginError (phase "create"), UsageError for one that is unmatched(). Refers to the scorer.
    explicit ScorerRun(const Scorer& scorer);
    ~ScorerRun();
    ScorerRun(ScorerRun&&) noexcept;

    /// Whether several threads may use this run at once.
    bool concurrent() const;
    /// Ends the instances: as ScorerInstance::end(), and that of the scorer inside as well.
    void end();
    const Scorer& scorer() const { return *scorer_; }
    const ScorerInstance* instance() const { return instance_.get(); } ///< null for a formula
    const ScorerRun* base() const { return base_.get(); }              ///< of a wrapper, else null

    /// Scores [heads][n] and the tokens that each head keeps when the share c in [0, 1] goes. c = 0 keeps all and runs
    /// nothing: the scores are then 0. Throws PluginError for what a plugin gets wrong, a NaN among its scores
    /// included.
    void select(const LayerInput& layer, double removed_fraction, std::vector<double>& scores,
                std::vector<std::size_t>& kept_per_head) const;

private:
    const Scorer* scorer_;
    std::unique_ptr<ScorerInstance> instance_;
    std::unique_ptr<ScorerRun> base_;
};

/// Scores of one KV head by a formula with these constants: [tokens], and may write row_padding values behind them.
void score_head(const formula::Program& program, std::span<const double> constants, const LayerColumns& columns,
                std::size_t kv_head, std::size_t tokens, double* scores);

/// What scores are for; both 0 where there is no budget.
struct ScoreBudget {
    double removed_fraction = 0;
    std::size_t kept = 0; ///< tokens that each head keeps, after any layer budget
};

/// Calls of scorers, one after another: gathers the columns that each wants. Scratch of one thread.
class ScorerCall {
public:
    /// Writes [heads][n] scores, and may write row_padding values behind them. `base_scores` are a wrapper's base's,
    /// [heads][n]. NaN is not looked for. Throws PluginError.
    void score(const ScorerRun& run, const LayerInput& layer, ScoreBudget budget, const double* base_scores,
               double* scores);
    /// What score() gives an instance. Until the next call.
    evl_batch batch(const ScorerRun& run, const LayerInput& layer, ScoreBudget budget,
                    const double* base_scores = nullptr);

private:
    void add_tables(const ScorerRun& run, const LayerInput& layer, evl_batch& batch);
    std::vector<const double*> pointers_;
    std::vector<std::ptrdiff_t> strides_;
    std::vector<evl_table> tables_;
    std::vector<const evl_table*> table_pointers_;
};

/// Of a NaN among a scorer's scores, in words that say where.
PluginError nan_score(const Scorer& scorer, std::size_t layer, std::size_t head, std::size_t position);

/// Scores and budgets of several budgets on one layer: scores that do not depend on the budget are computed once. Not
/// thread-safe; refers to the run and the layer.
class LayerSelection {
public:
    LayerSelection(const ScorerRun& run, const LayerInput& layer);
    ~LayerSelection();

    /// As ScorerRun::select(). Both hold until the next call.
    void select(double removed_fraction);
    std::span<const double> scores() const { return {scores_.data(), layer_.heads * layer_.tokens}; }
    std::span<const std::size_t> kept_per_head() const { return kept_; }
    /// Ascending positions that each KV head keeps by them; not by Granularity::model. Throws UsageError where more is
    /// protected than a head keeps.
    KeptSets kept(const Shape& shape) const { return layer_cut(scores(), kept_, shape); }
    /// Of a plugin that budgets_model(): what its plugin tells of the layer beside the scores. Throws PluginError.
    std::vector<double> facts();

private:
    std::size_t layer_budget(double removed_fraction) const;
    void score(ScoreBudget budget);
    void allocate(ScoreBudget budget);
    void count_above(double threshold);
    void refuse_nan() const;

    const ScorerRun& run_;
    const LayerInput& layer_;
    std::unique_ptr<LayerSelection> base_;
    ScorerCall call_;
    std::vector<double> scores_; ///< with room behind for formulas
    bool scored_ = false;
    ScoreBudget budget_{};
    std::vector<std::size_t> kept_;
};

} // namespace evictlab
