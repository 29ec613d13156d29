// SPDX-License-Identifier: MIT
#include "framework/scoring/scorer_pool.hpp"

#include <algorithm>

namespace evictlab {
namespace {

/// Does `step` for each of `count` scorers; one that throws PluginError lands in `failures` and stops no other.
template <class Step>
void for_each_scorer(std::size_t count, ScorerFailures& failures, Step&& step) {
    for (std::size_t s = 0; s < count; ++s) {
        try {
            step(s);
        } catch (const PluginError& error) {
            failures.emplace(s, error);
        }
    }
}

std::vector<ColumnId> columns_of(std::span<const Scorer> scorers) {
    std::vector<ColumnId> ids;
    for (const Scorer& scorer : scorers) ids.insert(ids.end(), scorer.columns().begin(), scorer.columns().end());
    return ids;
}

} // namespace

ScorerPool::ScorerPool(std::span<const Scorer> scorers)
    : scorers_(scorers), columns_(columns_of(scorers)), shared_(scorers.size()) {}

bool ScorerPool::reads(ColumnNeeds needs) const {
    const auto takes_tensors = [](const Scorer& scorer) { return scorer.wants_tensors(); };
    return (needs == ColumnNeeds::wov_norm && std::ranges::any_of(scorers_, takes_tensors)) ||
           std::ranges::any_of(columns_.ids(), [=](ColumnId id) { return evictlab::columns::needs(id) == needs; });
}

void ScorerPool::create(ScorerFailures& failures) {
    for_each_scorer(size(), failures, [this](std::size_t s) {
        auto run = std::make_unique<ScorerRun>(scorers_[s]);
        if (run->concurrent())
            shared_[s] = std::move(run);
        else
            run->end();
    });
}

void ScorerPool::end(ScorerFailures& failures) {
    for_each_scorer(size(), failures, [this](std::size_t s) {
        if (shared_[s]) shared_[s]->end();
    });
}

PooledRun ScorerPool::run(std::size_t s) const {
    return shared_[s] ? PooledRun(shared_[s].get()) : PooledRun(scorers_[s]);
}

} // namespace evictlab
