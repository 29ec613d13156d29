// SPDX-License-Identifier: MIT
#include "framework/scoring/scorer_run.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "framework/suite/trace.hpp"

namespace evictlab {

std::size_t kept_count_for_removed(std::size_t n, double removed_fraction) {
    if (removed_fraction >= 1) return 0;
    const double kept = static_cast<double>(n) * (1.0 - removed_fraction);
    return std::max<std::size_t>(1, static_cast<std::size_t>(kept));
}

double removed_fraction_for_kept(std::size_t n, std::size_t kept) {
    double removed = 1.0 - static_cast<double>(kept) / static_cast<double>(n);
    while (kept_count_for_removed(n, removed) < kept) removed = std::nextafter(removed, 0.0);
    return removed;
}

std::vector<std::uint32_t> top_k(std::span<const double> scores, std::size_t kept) {
    std::vector<std::uint32_t> order(scores.size());
    std::iota(order.begin(), order.end(), 0u);
    const auto cut = order.begin() + static_cast<std::ptrdiff_t>(std::min(kept, order.size()));
    if (cut != order.end())
        std::nth_element(order.begin(), cut, order.end(), [&](std::uint32_t a, std::uint32_t b) {
            return scores[a] != scores[b] ? scores[a] > scores[b] : a < b;
        });
    order.erase(cut, order.end());
    std::ranges::sort(order);
    return order;
}

ScorerRun::ScorerRun(const Scorer& scorer) : scorer_(&scorer) {
    if (!scorer.is_formula()) instance_ = scorer.plugin()->create(scorer.values());
    if (scorer.base()) base_ = std::make_unique<ScorerRun>(*scorer.base());
}
ScorerRun::~ScorerRun() = default;
ScorerRun::ScorerRun(ScorerRun&&) noexcept = default;

bool ScorerRun::concurrent() const {
    return (!instance_ || instance_->plugin().concurrent()) && (!base_ || base_->concurrent());
}

void ScorerRun::end() {
    if (instance_) instance_->end();
    if (base_) base_->end();
}

void ScorerRun::select(const LayerInput& layer, double removed_fraction, std::vector<double>& scores,
                       std::vector<std::size_t>& kept_per_head) const {
    LayerSelection selection(*this, layer);
    selection.select(removed_fraction);
    scores.assign(selection.scores().begin(), selection.scores().end());
    kept_per_head.assign(selection.kept_per_head().begin(), selection.kept_per_head().end());
}

LayerSelection::LayerSelection(const ScorerRun& run, const LayerInput& layer) : run_(run), layer_(layer) {
    if (run.base_) base_ = std::make_unique<LayerSelection>(*run.base_, layer);
    scores_.resize(layer.heads * layer.tokens + row_padding);
}
LayerSelection::~LayerSelection() = default;

void LayerSelection::select(double removed_fraction) {
    if (removed_fraction <= 0) {
        std::ranges::fill(scores_, 0.0);
        kept_.assign(layer_.heads, layer_.tokens);
        scored_ = false;
        return;
    }
    const Budget budget{removed_fraction, layer_budget(removed_fraction)};
    score(budget);
    allocate(budget);
}

std::size_t LayerSelection::layer_budget(double removed_fraction) const {
    const bool as_base = base_ && !run_.instance_->plugin().equal_layers();
    const std::size_t usual =
        as_base ? base_->layer_budget(removed_fraction) : kept_count_for_removed(layer_.tokens, removed_fraction);
    if (!run_.instance_ || !run_.instance_->plugin().budgets_layers()) return usual;
    return run_.instance_->layer_budget({sizeof(evl_budget_query), static_cast<std::uint32_t>(layer_.layer),
                                         static_cast<std::uint32_t>(layer_.num_layers),
                                         static_cast<std::uint32_t>(layer_.heads),
                                         static_cast<std::uint32_t>(layer_.tokens), removed_fraction, usual});
}

void LayerSelection::score(Budget budget) {
    if (scored_ && !run_.scorer().budgeted()) return;
    if (base_) base_->score({budget.removed_fraction, base_->layer_budget(budget.removed_fraction)});
    if (run_.instance_)
        run_.instance_->score(batch(run_.instance_->plugin().budgeted() ? budget : Budget{}), scores_.data());
    else
        score_formula();
    refuse_nan();
    scored_ = true;
}

void LayerSelection::score_formula() {
    thread_local formula::Workspace workspace;
    std::vector<formula::ColumnView> views;
    const formula::Program& program = run_.scorer().program();
    for (std::size_t head = 0; head < layer_.heads; ++head) {
        views.clear();
        for (const ColumnId id : program.columns()) {
            const ColumnValues values = layer_.columns(id);
            views.push_back({values.data + static_cast<std::ptrdiff_t>(head) * values.head_stride,
                             columns::kind(id) != ColumnKind::token});
        }
        program.evaluate(views, program.constants(), layer_.tokens, scores_.data() + head * layer_.tokens, workspace);
    }
}

evl_batch LayerSelection::batch(Budget budget) {
    pointers_.clear();
    strides_.clear();
    for (const ColumnId id : run_.scorer().own_columns()) {
        const bool base_score = id == base_score_id;
        const ColumnValues values =
            base_score ? ColumnValues{base_->scores_.data(), static_cast<std::ptrdiff_t>(layer_.tokens)}
                       : layer_.columns(id);
        pointers_.push_back(values.data);
        strides_.push_back(values.head_stride);
    }
    return {sizeof(evl_batch),
            static_cast<std::uint32_t>(layer_.layer),
            static_cast<std::uint32_t>(layer_.num_layers),
            static_cast<std::uint32_t>(layer_.heads),
            static_cast<std::uint32_t>(layer_.tokens),
            layer_.sequence_len,
            pointers_.data(),
            strides_.data(),
            budget.removed_fraction,
            budget.kept,
            run_.instance_->plugin().wants_tensors() ? layer_.tensors : nullptr};
}

void LayerSelection::allocate(Budget budget) {
    kept_.assign(layer_.heads, budget.kept);
    if (!run_.instance_ || !run_.instance_->plugin().budgets_heads()) return;
    std::vector<std::uint64_t> kept(layer_.heads, budget.kept);
    run_.instance_->head_budgets(batch(budget), scores_.data(), kept);
    kept_.assign(kept.begin(), kept.end());
}

void LayerSelection::refuse_nan() const {
    const auto all = scores();
    const auto at = std::ranges::find_if(all, [](double score) { return std::isnan(score); });
    if (at == all.end()) return;
    const auto index = static_cast<std::size_t>(at - all.begin());
    throw PluginError(run_.scorer().label(), "score",
                      fmt::format("the score is NaN at layer {}, head {}, position {}", layer_.layer,
                                  index / layer_.tokens, index % layer_.tokens));
}

} // namespace evictlab
