// Which tokens a scorer keeps whose budget is divided over the whole model: its scores of every layer, then its counts,
// then the cut. Other scorers go through it with the budgets that they have layer by layer.
// SPDX-License-Identifier: MIT
#pragma once
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <span>
#include <vector>

#include "framework/scoring/scorer_run.hpp"

namespace evictlab {

/// Holds the scores of all layers, once for all budgets where they do not depend on it. First add() for each layer,
/// from any threads, then divide() once, then the rest from any threads. `layer` is one that was added.
class ModelSelection {
public:
    explicit ModelSelection(std::vector<double> removed_fractions) : removed_(std::move(removed_fractions)) {}

    /// Scores a layer at each removed fraction. Throws PluginError.
    void add(const ScorerRun& run, const LayerInput& layer);
    std::size_t size() const { return layers_.size(); } ///< layers that were added; not while others add
    /// Asks the scorer for its counts. Throws PluginError.
    void divide(const ScorerRun& run);

    std::span<const double> scores(std::size_t budget, std::size_t layer) const; ///< [heads][tokens]
    std::span<const std::size_t> kept_per_head(std::size_t budget, std::size_t layer) const;
    /// Positions that a KV head keeps, ascending.
    std::vector<std::uint32_t> kept(std::size_t budget, std::size_t layer, std::size_t head) const;

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
    void divide(const ScorerInstance& instance, std::size_t budget);

    std::vector<double> removed_;
    std::mutex mutex_;                      ///< of add()
    std::map<std::size_t, OfLayer> layers_; ///< by number
};

} // namespace evictlab
