// SPDX-License-Identifier: MIT
#include "framework/scorers/full_name.hpp"

#include <memory>
#include <optional>

namespace evictlab {
namespace {

std::optional<std::string> published_preset(const Plugin& plugin) {
    std::optional<std::string> found;
    for (const char* preferred : {"kvpress", "paper", ""})
        for (const auto& rule : plugin.rules())
            for (const Preset& preset : rule->presets())
                if (!found && preset.published() && (*preferred == '\0' || preset.name == preferred))
                    found = preset.name;
    return found;
}

ScorerName filled(ScorerName name, const PluginHost& host) {
    if (name.base) name.base = std::make_shared<ScorerName>(filled(*name.base, host));
    if (name.is_formula() || name.preset) return name;
    if (const auto plugin = host.find(name.id)) name.preset = published_preset(*plugin);
    return name;
}

} // namespace

std::string full_name(std::string_view name, ScorerRules rules, const PluginHost& host) {
    if (rules == ScorerRules::seed) return std::string(name);
    return filled(parse_scorer_name(name), host).text();
}

} // namespace evictlab
