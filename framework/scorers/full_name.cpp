// SPDX-License-Identifier: MIT
#include "framework/scorers/full_name.hpp"

#include <memory>
#include <optional>

namespace evictlab {
namespace {

/// The seed's own rule, where it is the plugin's defaults.
std::optional<std::string> seed_preset(const Plugin& plugin) {
    const std::vector<double> defaults = plugin.default_values();
    for (const Preset& preset : plugin.presets())
        if (preset.simplified() && preset.values == defaults) return preset.name;
    return std::nullopt;
}

std::optional<std::string> published_preset(const Plugin& plugin) {
    std::optional<std::string> found;
    for (const char* preferred : {"kvpress", "paper", ""})
        for (const auto& rule : plugin.rules())
            for (const Preset& preset : rule->presets())
                if (!found && preset.published() && (*preferred == '\0' || preset.name == preferred))
                    found = preset.name;
    return found;
}

ScorerName filled(ScorerName name, ScorerRules rules, const PluginHost& host) {
    if (name.base) name.base = std::make_shared<ScorerName>(filled(*name.base, rules, host));
    if (name.is_formula() || name.preset) return name;
    if (const auto plugin = host.find(name.id))
        name.preset = rules == ScorerRules::seed ? seed_preset(*plugin) : published_preset(*plugin);
    return name;
}

bool is_too_deep(const ScorerName& name) { return name.too_deep || (name.base && is_too_deep(*name.base)); }

} // namespace

std::string full_name(std::string_view name, ScorerRules rules, const PluginHost& host) {
    const ScorerName parsed = parse_scorer_name(name);
    return is_too_deep(parsed) ? std::string(name) : filled(parsed, rules, host).text();
}

} // namespace evictlab
