// Which scorers `all` means, protocol by protocol, and which cannot run under rescore.
// SPDX-License-Identifier: MIT
#include <fmt/format.h>

#include <algorithm>

#include "framework/scorers/scorer.hpp"

namespace evictlab {

std::string refusal_by_rescore(const Scorer& scorer) {
    const char* wants = scorer.base()            ? "wraps another scorer for a budget"
                        : scorer.budgeted()      ? "scores for a budget"
                        : scorer.wants_tensors() ? "reads queries, keys and values"
                                                 : nullptr;
    if (!wants) return "";
    return fmt::format("{}, which the protocol rescore does not give; it runs under prefill on a captured suite",
                       wants);
}

namespace {

bool is_published(const Preset& preset) { return preset.name == "kvpress" || preset.name == "paper"; }

/// What was found by search on real attention belongs beside the published rows.
bool is_listed(const Preset& preset) { return is_published(preset) || preset.name == "real"; }

bool has_published_preset(const std::shared_ptr<const Plugin>& plugin) {
    return std::ranges::any_of(plugin->rules(),
                               [](const auto& rule) { return std::ranges::any_of(rule->presets(), is_published); });
}

// The authors of LagKV leave prompts of less than 2064 tokens alone: a row without any eviction would lead the table.
// ExpectedAttention is kvpress's but in models with a softmax scale of their own: elsewhere it would be there twice.
bool only_by_name(const std::shared_ptr<const Plugin>& plugin, const Preset& preset) {
    return preset.name == "paper" && (plugin->id() == "lagkv" || plugin->id() == "expected_attention");
}

Scorer of_preset(const std::shared_ptr<const Plugin>& plugin, const Preset& preset) {
    return Scorer::from_plugin(fmt::format("{}@{}", plugin->id(), preset.name), plugin, preset.values);
}

Scorer of_defaults(const std::shared_ptr<const Plugin>& plugin) {
    return Scorer::from_plugin(plugin->id(), plugin, plugin->default_values());
}

// Wrappers are shown over the bases that their authors and kvpress use, and the plainest over what was found by search.
constexpr std::string_view wrapped_rows[] = {
    "adakv@kvpress(evolved@real)",
    "adakv@kvpress(snapkv@kvpress)",
    "adakv@kvpress(expected_attention@kvpress)",
    "adakv@paper(snapkv@paper)",
    "chunkkv@kvpress(snapkv@kvpress)",
    "criticaladakv@kvpress(snapkv@kvpress)",
    "criticalkv@kvpress(expected_attention@kvpress:use_vnorm=false)",
    "criticalkv@kvpress(snapkv@kvpress)",
};

} // namespace

std::vector<Scorer> all_scorers(const PluginHost& host) {
    std::vector<Scorer> scorers;
    for (const auto& plugin : host.plugins()) {
        const Preset* seed = plugin->preset("seed");
        const bool runs = !plugin->wrapper() && !plugin->budgeted() && !plugin->wants_tensors();
        if (runs && (seed || !has_published_preset(plugin)))
            scorers.push_back(seed ? of_preset(plugin, *seed) : of_defaults(plugin));
    }
    return scorers;
}

std::vector<Scorer> all_prefill_scorers(PluginHost& host) {
    std::vector<Scorer> scorers;
    for (const auto& plugin : host.plugins()) {
        if (plugin->wrapper()) continue;
        if (!has_published_preset(plugin)) scorers.push_back(of_defaults(plugin));
        for (const auto& rule : plugin->rules())
            for (const Preset& preset : rule->presets())
                if (is_listed(preset) && !only_by_name(rule, preset)) scorers.push_back(of_preset(rule, preset));
    }
    for (const auto text : wrapped_rows)
        if (host.find(text.substr(0, text.find('@')))) scorers.push_back(make_scorer(text, host));
    return scorers;
}

} // namespace evictlab
