// SPDX-License-Identifier: MIT
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "conformance/tests.hpp"

namespace evictlab::conformance {
namespace {

Finding score_all(const Subject& subject, const Shape& shape, Filling filling = Filling::ordinary) {
    return for_each_setting(subject, [&](const Setting& setting) {
        subject.scores_of(setting, MadeBatch(*setting.rule, setting.values, shape, filling));
        return passed();
    });
}

std::uint64_t equal_budget(std::uint32_t tokens, double removed) {
    return removed >= 1 ? 0 : std::max<std::uint64_t>(1, static_cast<std::uint64_t>(tokens * (1 - removed)));
}

constexpr double removed_fractions[] = {0.1, 0.5, 0.9, 1.0};
constexpr std::uint32_t token_counts[] = {1, 96};

} // namespace

Finding ordinary_batch(const Subject& subject) { return score_all(subject, {}); }

Finding one_token(const Subject& subject) {
    return for_each_setting(subject, [&](const Setting& setting) {
        try {
            subject.scores_of(setting, MadeBatch(*setting.rule, setting.values, {2, 1, 0, 4}));
        } catch (const PluginError& error) {
            if (!refused_in_words(error)) throw;
        }
        return passed();
    });
}

Finding many_tokens(const Subject& subject) { return score_all(subject, {1, 100'000, 1, 4}); }

Finding one_head(const Subject& subject) { return score_all(subject, {1, 96, 0, 1}); }

Finding equal_values(const Subject& subject) { return score_all(subject, {}, Filling::equal); }

Finding zeros(const Subject& subject) { return score_all(subject, {}, Filling::zero); }

Finding denormals(const Subject& subject) { return score_all(subject, {}, Filling::denormal); }

Finding infinite_base(const Subject& subject) {
    if (std::ranges::none_of(subject.rules(), [](const auto& rule) { return rule->wrapper(); }))
        return skipped("it wraps no other scorer");
    return for_each_setting(subject, [&](const Setting& setting) {
        MadeBatch batch(*setting.rule, setting.values, {});
        for (std::size_t c = 0; c < batch.columns(); ++c) {
            if (batch.column_name(c) != base_score_column) continue;
            const std::span<double> base = batch.column(c);
            for (std::size_t i = 0; i < base.size(); i += 7) base[i] = std::numeric_limits<double>::infinity();
            for (std::size_t i = 3; i < base.size(); i += 7) base[i] = -std::numeric_limits<double>::infinity();
        }
        subject.scores_of(setting, batch);
        return passed();
    });
}

Finding layer_budgets(const Subject& subject) {
    if (std::ranges::none_of(subject.rules(), [](const auto& rule) { return rule->budgets_layers(); }))
        return skipped("it has no budgets for layers");
    return for_each_setting(subject, [&](const Setting& setting) {
        if (!setting.rule->budgets_layers()) return passed();
        const auto instance = subject.create(setting);
        for (const std::uint32_t tokens : token_counts)
            for (const double removed : removed_fractions) {
                std::vector<std::size_t> kept;
                for (std::uint32_t layer = 0; layer < 4; ++layer) {
                    subject.process->calling();
                    kept.push_back(
                        instance->layer_budget({sizeof(evl_budget_query), layer, 4, 2, tokens, removed,
                                                equal_budget(tokens, removed)})); // throws for more than there are
                }
                if (setting.rule->equal_layers() && std::ranges::count(kept, kept[0]) < 4)
                    return failed(fmt::format("layers 0 to 3 keep {} of {} tokens when {} of them are to go, and its "
                                              "flag EVL_EQUAL_LAYERS says that all keep as many",
                                              fmt::join(kept, ", "), tokens, removed));
            }
        return passed();
    });
}

Finding head_budgets(const Subject& subject) {
    if (std::ranges::none_of(subject.rules(), [](const auto& rule) { return rule->budgets_heads(); }))
        return skipped("it has no budgets for heads");
    return for_each_setting(subject, [&](const Setting& setting) {
        if (!setting.rule->budgets_heads()) return passed();
        const auto instance = subject.create(setting);
        for (const std::uint32_t tokens : token_counts)
            for (const double removed : removed_fractions) {
                MadeBatch batch(*setting.rule, setting.values, {3, tokens, 1, 4});
                batch.batch().removed_fraction = removed;
                batch.batch().kept = equal_budget(tokens, removed);
                std::vector<double> scores;
                try {
                    scores = subject.score(*instance, batch.batch());
                } catch (const PluginError& error) {
                    if (refused_in_words(error)) continue; // as methods do that need more tokens than their window
                    throw;
                }
                std::vector<std::uint64_t> kept(3, batch.batch().kept);
                subject.process->calling();
                instance->head_budgets(batch.batch(), scores.data(), kept);
            }
        return passed();
    });
}

namespace {

/// A layer as model_budgets is told of it.
struct MadeLayer {
    std::vector<double> scores, facts;
    std::uint64_t kept = 0;
};

/// Layers 0, 2 and 3 of four, as a trace holds some; one alone; nothing where the plugin refuses a batch in words.
std::vector<MadeLayer> scored_layers(const Subject& subject, const Setting& setting, const ScorerInstance& instance,
                                     std::span<const std::uint32_t> numbers, std::uint32_t tokens, double removed) {
    std::vector<MadeLayer> layers;
    for (const std::uint32_t number : numbers) {
        MadeBatch batch(*setting.rule, setting.values, {2, tokens, number, 4});
        batch.batch().removed_fraction = removed;
        batch.batch().kept = equal_budget(tokens, removed);
        try {
            MadeLayer& layer = layers.emplace_back();
            layer.scores = subject.score(instance, batch.batch());
            layer.kept = batch.batch().kept;
            layer.facts.resize(setting.rule->model_facts());
            if (layer.facts.empty()) continue;
            subject.process->calling();
            instance.layer_facts(batch.batch(), layer.scores.data(), layer.facts);
        } catch (const PluginError& error) {
            if (refused_in_words(error)) return {}; // as methods do that need more tokens than their window
            throw;
        }
    }
    return layers;
}

/// Of a model of four layers.
const std::vector<std::uint32_t> held_layers[] = {{0, 2, 3}, {1}};

std::vector<evl_scored_layer> told_of(const std::vector<MadeLayer>& layers, std::span<const std::uint32_t> numbers,
                                      std::uint32_t tokens) {
    std::vector<evl_scored_layer> told;
    for (std::size_t i = 0; i < layers.size(); ++i)
        told.push_back({numbers[i], 2, tokens, 0, layers[i].kept, layers[i].scores.data(),
                        layers[i].facts.empty() ? nullptr : layers[i].facts.data()});
    return told;
}

evl_model_query model_of(const std::vector<evl_scored_layer>& told, double removed) {
    return {sizeof(evl_model_query),  4,       static_cast<std::uint32_t>(told.size()),
            sizeof(evl_scored_layer), removed, told.data()};
}

} // namespace

Finding model_budgets(const Subject& subject) {
    if (std::ranges::none_of(subject.rules(), [](const auto& rule) { return rule->budgets_model(); }))
        return skipped("it has no budgets for a model");
    return for_each_setting(subject, [&](const Setting& setting) {
        if (!setting.rule->budgets_model()) return passed();
        const auto instance = subject.create(setting);
        for (const auto& numbers : held_layers)
            for (const std::uint32_t tokens : token_counts)
                for (const double removed : removed_fractions) {
                    const auto layers = scored_layers(subject, setting, *instance, numbers, tokens, removed);
                    if (layers.empty()) continue;
                    const auto told = told_of(layers, numbers, tokens);
                    std::vector<std::uint64_t> kept(2 * told.size());
                    subject.process->calling();
                    instance->model_budgets(model_of(told, removed), kept); // throws for more than there are
                }
        return passed();
    });
}

Finding model_scores(const Subject& subject) {
    if (std::ranges::none_of(subject.rules(), [](const auto& rule) { return rule->scores_model(); }))
        return skipped("its scores do not look at other layers");
    return for_each_setting(subject, [&](const Setting& setting) {
        if (!setting.rule->scores_model()) return passed();
        const auto instance = subject.create(setting);
        for (const auto& numbers : held_layers)
            for (const std::uint32_t tokens : token_counts) {
                const auto layers = scored_layers(subject, setting, *instance, numbers, tokens, 0.5);
                if (layers.empty()) continue;
                std::vector<std::vector<double>> changed;
                std::vector<double*> pointers;
                for (const MadeLayer& layer : layers) changed.push_back(layer.scores);
                for (auto& scores : changed) pointers.push_back(scores.data());
                const auto told = told_of(layers, numbers, tokens);
                subject.process->calling();
                instance->model_scores(model_of(told, 0.5), pointers);
                for (std::size_t i = 0; i < changed.size(); ++i)
                    if (std::ranges::any_of(changed[i], [](double score) { return std::isnan(score); }))
                        return failed(fmt::format("layer {}: a score is NaN once all layers are scored", numbers[i]));
            }
        return passed();
    });
}

} // namespace evictlab::conformance
