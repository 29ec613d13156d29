// Which prompt tokens a scorer keeps in one layer: its scores, the budget of the layer and of each head, and the cut.
// One-shot eviction at the end of a prompt, as NVIDIA's kvpress 0.5.5 does it.
// SPDX-License-Identifier: MIT
#pragma once
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "framework/scorers/scorer.hpp"

namespace evictlab {

/// Tokens that a head keeps of n when the share `removed_fraction` goes (kvpress): 0 if c >= 1, else
/// max(1, (int)(n (1.0 - c))), in doubles, in this order.
std::size_t kept_count_for_removed(std::size_t n, double removed_fraction);

/// A c for which kept_count_for_removed(n, c) is `kept`, 1 <= kept <= n: 1 - kept/n but for rounding.
double removed_fraction_for_kept(std::size_t n, std::size_t kept);

/// Positions of the `kept` highest scores, ascending; among equal scores the lower position is kept. No score is NaN.
std::vector<std::uint32_t> top_k(std::span<const double> scores, std::size_t kept);

/// A column of a layer: head h's n values start at data + h * head_stride and are readable to padded(n). A column with
/// one value for all tokens holds n copies of it.
struct ColumnValues {
    const double* data = nullptr;
    std::ptrdiff_t head_stride = 0; ///< 0: all heads share them
};

/// One layer at one moment, as scorers see it.
struct LayerInput {
    std::size_t layer = 0, num_layers = 1;
    std::size_t heads = 0;                         ///< KV heads
    std::size_t tokens = 0;                        ///< n, cached ones
    std::size_t sequence_len = 0;                  ///< tokens seen so far
    std::function<ColumnValues(ColumnId)> columns; ///< any of Scorer::columns()
    const evl_tensors* tensors = nullptr;          ///< of a scorer with wants_tensors()
};

/// A scorer made ready to run: its instance and, of a wrapper, that of the scorer inside.
class ScorerRun {
public:
    /// Throws PluginError (phase "create"). Refers to the scorer.
    explicit ScorerRun(const Scorer& scorer);
    ~ScorerRun();
    ScorerRun(ScorerRun&&) noexcept;

    /// Whether several threads may use this run at once.
    bool concurrent() const;
    /// Ends the instances: as ScorerInstance::end(), and that of the scorer inside as well.
    void end();
    const Scorer& scorer() const { return *scorer_; }

    /// Scores [heads][n] and the tokens that each head keeps when the share c in [0, 1] goes. c = 0 keeps all and runs
    /// nothing: the scores are then 0. Throws PluginError for what a plugin gets wrong, a NaN among its scores
    /// included.
    void select(const LayerInput& layer, double removed_fraction, std::vector<double>& scores,
                std::vector<std::size_t>& kept_per_head) const;

private:
    friend class LayerSelection;
    const Scorer* scorer_;
    std::unique_ptr<ScorerInstance> instance_; ///< null for a formula
    std::unique_ptr<ScorerRun> base_;          ///< of a wrapper
};

/// The same for several budgets on one layer: scores that do not depend on the budget are computed once. Not
/// thread-safe; refers to the run and the layer.
class LayerSelection {
public:
    LayerSelection(const ScorerRun& run, const LayerInput& layer);
    ~LayerSelection();

    /// As ScorerRun::select(). Both hold until the next call.
    void select(double removed_fraction);
    std::span<const double> scores() const { return {scores_.data(), layer_.heads * layer_.tokens}; }
    std::span<const std::size_t> kept_per_head() const { return kept_; }

private:
    struct Budget {
        double removed_fraction = 0;
        std::size_t kept = 0;
    };
    std::size_t layer_budget(double removed_fraction) const;
    void score(Budget budget);
    void score_formula();
    evl_batch batch(Budget budget);
    void allocate(Budget budget);
    void refuse_nan() const;

    const ScorerRun& run_;
    const LayerInput& layer_;
    std::unique_ptr<LayerSelection> base_;
    std::vector<double> scores_; ///< with room behind for formulas
    bool scored_ = false;
    std::vector<std::size_t> kept_;
    std::vector<const double*> pointers_;
    std::vector<std::ptrdiff_t> strides_;
};

} // namespace evictlab
