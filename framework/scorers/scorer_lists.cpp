// Which scorers `all` means, protocol by protocol, and which cannot run under rescore.
// SPDX-License-Identifier: MIT
#include <fmt/format.h>

#include <algorithm>
#include <iterator>

#include "framework/scorers/published.hpp"
#include "framework/scorers/scorer.hpp"

namespace evictlab {

std::string refusal_by_rescore(const Scorer& scorer) {
    const char* wants = scorer.base()            ? "wraps another scorer for a budget"
                        : scorer.budgeted()      ? "scores for a budget"
                        : scorer.needs_model()   ? "looks at all layers of the model together"
                        : scorer.has_threshold() ? "has a threshold in place of a budget"
                        : scorer.wants_tensors() ? "reads queries, keys and values"
                                                 : nullptr;
    if (!wants) return "";
    return fmt::format("{}, which the protocol rescore does not give; it runs under prefill on a captured suite",
                       wants);
}

namespace {

bool has_published_preset(const std::shared_ptr<const Plugin>& plugin) {
    return std::ranges::any_of(
        plugin->rules(), [](const auto& rule) { return std::ranges::any_of(rule->presets(), &Preset::published); });
}

Scorer of_preset(const std::shared_ptr<const Plugin>& plugin, const Preset& preset) {
    Scorer scorer = Scorer::from_plugin(fmt::format("{}@{}", plugin->id(), preset.name), plugin, preset.values);
    return preset.matched() && plugin->threshold() ? scorer.with_thresholds({}) : scorer;
}

Scorer of_defaults(const std::shared_ptr<const Plugin>& plugin) {
    return Scorer::from_plugin(plugin->id(), plugin, plugin->default_values());
}

/// A rule's preset by its name, whichever plugin of the host it is of.
bool there_is(const ScorerName& name, const PluginHost& host) {
    const auto plugin = host.find(name.id);
    if (!plugin || !name.preset) return plugin != nullptr;
    return std::ranges::any_of(plugin->rules(), [&](const auto& rule) { return rule->preset(*name.preset); });
}

void add_wrapped(const Plugin& wrapper, const Preset& preset, PluginHost& host, std::vector<Scorer>& scorers) {
    for (const std::string& base : bases_of(preset))
        if (there_is(parse_scorer_name(base), host))
            scorers.push_back(make_scorer(fmt::format("{}@{}({})", wrapper.id(), preset.name, base), host));
}

} // namespace

std::vector<Scorer> all_scorers(const PluginHost& host) {
    std::vector<Scorer> scorers;
    for (const auto& plugin : host.plugins()) {
        const Preset* seed = plugin->preset("seed");
        const bool runs = !plugin->wrapper() && !plugin->budgeted() && !plugin->wants_tensors() && !plugin->threshold();
        if (runs && (seed || !has_published_preset(plugin)))
            scorers.push_back(seed ? of_preset(plugin, *seed) : of_defaults(plugin));
    }
    return scorers;
}

std::vector<Scorer> all_prefill_scorers(PluginHost& host) {
    std::vector<Scorer> scorers, wrapped;
    for (const auto& plugin : host.plugins()) {
        if (!plugin->wrapper() && !has_published_preset(plugin)) scorers.push_back(of_defaults(plugin));
        for (const auto& rule : plugin->rules())
            for (const Preset& preset : rule->presets()) {
                if (rule->wrapper())
                    add_wrapped(*rule, preset, host, wrapped);
                else if (preset.listed())
                    scorers.push_back(of_preset(rule, preset));
            }
    }
    std::ranges::move(wrapped, std::back_inserter(scorers));
    return scorers;
}

} // namespace evictlab
