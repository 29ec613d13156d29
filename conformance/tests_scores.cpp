// SPDX-License-Identifier: MIT
#include <fmt/format.h>

#include <algorithm>
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
            for (const double removed : removed_fractions)
                for (std::uint32_t layer = 0; layer < 4; ++layer) {
                    subject.process->calling();
                    instance->layer_budget({sizeof(evl_budget_query), layer, 4, 2, tokens, removed,
                                            equal_budget(tokens, removed)}); // throws for more than there are
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

} // namespace evictlab::conformance
