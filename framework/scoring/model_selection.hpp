// Which tokens a scorer keeps where that is known once all layers are scored: it looks at the whole model, or all
// layers share one set. Its scores of every layer, what it makes of them and its counts, then the cut. Other scorers go
// through it with the budgets that they have layer by layer. SPDX-License-Identifier: MIT
#pragma once
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <span>
#include <vector>

#include "framework/cut/shaped_cut.hpp"
#include "framework/scoring/scorer_run.hpp"

namespace evictlab {

/// Holds the scores of all layers, once for all budgets where they do not depend on it. First add() for each layer,
/// from any threads, then divide() once, then the rest from any threads. `layer` is one that was added.
class ModelSelection {
public:
    /// A scorer that the shape refuses (shape_refusal) is not asked for.
    explicit ModelSelection(std::vector<double> removed_fractions, const Shape& shape = {})
        : removed_(std::move(removed_fractions)), shape_(shape) {}

    /// Scores a layer at each removed fraction. Throws PluginError.
    void add(const ScorerRun& run, const LayerInput& layer);
    std::size_t size() const { return layers_.size(); } ///< layers that were added; not while others add
    /// Asks the scorer for its last scores and its counts, and cuts what all layers share. Throws PluginError;
    /// UsageError where layers that share a set have other numbers of tokens, or more is protected than they keep.
    void divide(const ScorerRun& run);

    std::span<const double> scores(std::size_t budget, std::size_t layer) const; ///< [heads][tokens]
    std::span<const std::size_t> kept_per_head(std::size_t budget, std::size_t layer) const;
    /// Ascending positions that each KV head keeps. Throws UsageError where more is protected than it keeps.
    KeptSets kept(std::size_t budget, std::size_t layer) const;

private:
    struct OfBudget {
        std::shared_ptr<const std::vector<double>> scores;
        std::vector<double> facts;
        std::vector<std::size_t> kept; ///< [head]: what it would be without the other layers, until divide()
    };
    struct OfLayer {
        std::size_t num_layers = 0, heads = 0, tokens = 0;
        std::vector<OfBudget> budgets;
    };
    /// `told` is what it points to.
    evl_model_query query(std::size_t budget, std::vector<evl_scored_layer>& told) const;
    void score(const ScorerRun& run, std::size_t budget);
    void divide(const ScorerInstance& instance, std::size_t budget);
    std::vector<std::uint32_t> shared_set(std::size_t budget) const;

    std::vector<double> removed_;
    Shape shape_;
    KeptSets shared_;                       ///< [budget]: what all heads of all layers keep, by Granularity::model
    std::mutex mutex_;                      ///< of add()
    std::map<std::size_t, OfLayer> layers_; ///< by number
};

} // namespace evictlab
