// The scorers of a bench made ready: which of them several threads share, and which each task makes anew.
// SPDX-License-Identifier: MIT
#pragma once
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "framework/scoring/scorer_run.hpp"

namespace evictlab {

/// Failures of scorers, by their place in the pool.
using ScorerFailures = std::map<std::size_t, PluginError>;

/// A run of one scorer for one task: the shared one, or its own, which ends with it.
class PooledRun {
public:
    explicit PooledRun(const ScorerRun* shared) : run_(shared) {}
    explicit PooledRun(const Scorer& scorer) : own_(std::make_unique<ScorerRun>(scorer)), run_(own_.get()) {}
    const ScorerRun& operator*() const { return *run_; }
    const ScorerRun* operator->() const { return run_; }

private:
    std::unique_ptr<ScorerRun> own_;
    const ScorerRun* run_;
};

/// Refers to the scorers. Thread-safe between create() and end().
class ScorerPool {
public:
    explicit ScorerPool(std::span<const Scorer> scorers);

    std::size_t size() const { return scorers_.size(); }
    const Scorer& operator[](std::size_t s) const { return scorers_[s]; }
    std::span<const Scorer> scorers() const { return scorers_; }
    const ColumnPlaces& columns() const { return columns_; } ///< of all scorers
    /// Whether any scorer reads a column of that need; or CriticalKV's norms among its tensors.
    bool reads(ColumnNeeds needs) const;

    /// Tries create() of every scorer; what fails lands in `failures`. Called once, before run().
    void create(ScorerFailures& failures);
    /// Ends those that are left, behind the last run(); what fails is added. Called once.
    void end(ScorerFailures& failures);
    /// Throws PluginError (phase "create").
    PooledRun run(std::size_t s) const;

private:
    std::span<const Scorer> scorers_;
    ColumnPlaces columns_;
    std::vector<std::unique_ptr<ScorerRun>> shared_; ///< of scorers that may run in several threads at once
};

} // namespace evictlab
