// Judging every scorer, and the oracle, on one layer of one trace in one pass over its rows.
// SPDX-License-Identifier: MIT
#pragma once
#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <vector>

#include "framework/evaluation/scorer.hpp"
#include "framework/suite/trace.hpp"

namespace evictlab {

/// Thread-safe but for create_shared_instances().
class LayerJudge {
public:
    LayerJudge(std::span<const Scorer> scorers, std::span<const double> retentions);

    /// Makes the instances of plugins that allow concurrent calls, and tries create() of the others; what fails lands
    /// in `failures` by scorer.
    void create_shared_instances(std::map<std::size_t, PluginError>& failures);

    /// Mean errors over the layer's judged rows and heads, [scorer (the oracle last)][retention]. `skip` says which
    /// scorers not to run; `failed` is told of one that broke, which is then left out. Throws Interrupted on `stop`.
    std::vector<double> judge(const Trace& trace, std::size_t layer, const std::atomic<bool>* stop,
                              const std::function<bool(std::size_t)>& skip,
                              const std::function<void(std::size_t, PluginError)>& failed) const;

    std::span<const Scorer> scorers() const { return scorers_; }

private:
    friend class LayerRun;
    std::span<const Scorer> scorers_;
    std::span<const double> retentions_;
    std::vector<ColumnId> columns_;                      ///< of all scorers, without repetition
    std::vector<std::vector<std::size_t>> column_index_; ///< [scorer] its columns' places in columns_
    std::vector<std::unique_ptr<ScorerInstance>> shared_;
};

} // namespace evictlab
