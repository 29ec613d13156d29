// SPDX-License-Identifier: MIT
#include "framework/scoring/model_selection.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace evictlab {

void ModelSelection::add(const ScorerRun& run, const LayerInput& layer) {
    LayerSelection selection(run, layer);
    std::vector<OfBudget> budgets;
    std::shared_ptr<const std::vector<double>> shared; ///< where scores do not depend on the budget
    for (const double removed : removed_) {
        selection.select(removed);
        OfBudget& made = budgets.emplace_back();
        made.kept.assign(selection.kept_per_head().begin(), selection.kept_per_head().end());
        const bool scored = removed > 0;
        if (scored && run.scorer().plugin() && run.scorer().plugin()->budgets_model()) made.facts = selection.facts();
        if (scored && shared) {
            made.scores = shared;
            continue;
        }
        made.scores = std::make_shared<const std::vector<double>>(selection.scores().begin(), selection.scores().end());
        if (scored && !run.scorer().budgeted()) shared = made.scores;
    }
    const std::lock_guard lock(mutex_);
    layers_[layer.layer] = {layer.num_layers, layer.heads, layer.tokens, std::move(budgets)};
}

void ModelSelection::divide(const ScorerRun& run) {
    for (std::size_t budget = 0; budget < removed_.size() && run.scorer().needs_model(); ++budget) {
        if (removed_[budget] <= 0) continue;
        if (run.scorer().plugin()->scores_model()) score(run, budget);
        if (run.scorer().plugin()->budgets_model()) divide(*run.instance(), budget);
    }
    if (shape_.granularity != Granularity::model || layers_.empty()) return;
    KeptSets shared;
    for (std::size_t budget = 0; budget < removed_.size(); ++budget) shared.push_back(shared_set(budget));
    shared_ = std::move(shared);
}

std::vector<std::uint32_t> ModelSelection::shared_set(std::size_t budget) const {
    const auto& [first, of_first] = *layers_.begin();
    std::vector<std::span<const double>> scores;
    for (const auto& [number, layer] : layers_) {
        if (layer.tokens != of_first.tokens)
            throw UsageError(fmt::format("layer {} has {} tokens and layer {} has {}, and layers that share one set of "
                                         "tokens must have the same",
                                         first, of_first.tokens, number, layer.tokens));
        scores.emplace_back(*layer.budgets[budget].scores);
    }
    return model_cut(scores, of_first.tokens, of_first.budgets[budget].kept.front(), shape_);
}

evl_model_query ModelSelection::query(std::size_t budget, std::vector<evl_scored_layer>& told) const {
    for (const auto& [number, layer] : layers_) {
        const OfBudget& of = layer.budgets[budget];
        told.push_back({static_cast<std::uint32_t>(number), static_cast<std::uint32_t>(layer.heads),
                        static_cast<std::uint32_t>(layer.tokens), 0, of.kept[0], of.scores->data(),
                        of.facts.empty() ? nullptr : of.facts.data()});
    }
    return {sizeof(evl_model_query),
            static_cast<std::uint32_t>(layers_.begin()->second.num_layers),
            static_cast<std::uint32_t>(told.size()),
            sizeof(evl_scored_layer),
            removed_[budget],
            told.data()};
}

void ModelSelection::score(const ScorerRun& run, std::size_t budget) {
    std::vector<evl_scored_layer> told;
    const evl_model_query asked = query(budget, told);
    std::vector<std::shared_ptr<std::vector<double>>> changed; // others may share what is there
    std::vector<double*> pointers;
    for (const auto& [number, layer] : layers_) {
        changed.push_back(std::make_shared<std::vector<double>>(*layer.budgets[budget].scores));
        pointers.push_back(changed.back()->data());
    }
    run.instance()->model_scores(asked, pointers);
    std::size_t next = 0;
    for (auto& [number, layer] : layers_) {
        const auto& scores = changed[next++];
        if (const auto at = std::ranges::find_if(*scores, [](double score) { return std::isnan(score); });
            at != scores->end()) {
            const auto index = static_cast<std::size_t>(at - scores->begin());
            throw nan_score(run.scorer(), number, index / layer.tokens, index % layer.tokens);
        }
        layer.budgets[budget].scores = scores;
    }
}

void ModelSelection::divide(const ScorerInstance& instance, std::size_t budget) {
    std::vector<evl_scored_layer> told;
    const evl_model_query asked = query(budget, told);
    std::size_t heads = 0;
    for (const evl_scored_layer& layer : told) heads += layer.heads;
    std::vector<std::uint64_t> kept(heads);
    instance.model_budgets(asked, kept);
    auto next = kept.begin();
    for (auto& [number, layer] : layers_)
        for (std::size_t& count : layer.budgets[budget].kept) count = *next++;
}

std::span<const double> ModelSelection::scores(std::size_t budget, std::size_t layer) const {
    return *layers_.at(layer).budgets[budget].scores;
}

std::span<const std::size_t> ModelSelection::kept_per_head(std::size_t budget, std::size_t layer) const {
    return layers_.at(layer).budgets[budget].kept;
}

KeptSets ModelSelection::kept(std::size_t budget, std::size_t layer) const {
    if (shape_.granularity == Granularity::model) return {layers_.at(layer).heads, shared_[budget]};
    return layer_cut(scores(budget, layer), kept_per_head(budget, layer), shape_);
}

} // namespace evictlab
