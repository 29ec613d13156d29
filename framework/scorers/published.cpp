// SPDX-License-Identifier: MIT
#include "framework/scorers/published.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "framework/formula/formula.hpp"

namespace evictlab {
namespace {

using Rule = std::shared_ptr<const Plugin>;

/// The rule that a name means, whatever parameters it changes; null where there is none.
Rule rule_of(const ScorerName& name, const PluginHost& host) {
    const Rule plugin = host.find(name.id);
    if (!plugin || !name.preset) return plugin;
    for (const Rule& rule : plugin->rules())
        if (rule->preset(*name.preset)) return rule;
    return nullptr;
}

/// That of the name, or for a plain id the published one that its defaults are; null where there is none.
const Preset* preset_of(const ScorerName& name, const Plugin& rule) {
    if (name.preset) return rule.preset(*name.preset);
    const std::vector<double> defaults = rule.default_values();
    const auto at = std::ranges::find_if(
        rule.presets(), [&](const Preset& preset) { return preset.published() && preset.values == defaults; });
    return at == rule.presets().end() ? nullptr : &*at;
}

/// With any parameters changed.
bool of_published_preset(const ScorerName& name, const PluginHost& host) {
    const Rule rule = rule_of(name, host);
    const Preset* preset = rule ? preset_of(name, *rule) : nullptr;
    return preset && preset->published();
}

bool prescribes(const Preset& wrapper, const ScorerName& base) {
    return std::ranges::any_of(bases_of(wrapper), [&](const std::string& prescribed) {
        return parse_scorer_name(prescribed).text() == base.text();
    });
}

bool as_published(const ScorerName& name, const PluginHost& host) {
    const Rule rule = rule_of(name, host);
    const Preset* preset = rule ? preset_of(name, *rule) : nullptr;
    if (!preset || !preset->published() || !name.assignments.empty()) return false;
    if (!name.base || !rule->wrapper()) return !name.base && !rule->wrapper();
    const ScorerName& base = *name.base;
    if (base.base) return false; // nobody has published wrappers around each other
    return as_published(base, host) || (prescribes(*preset, base) && of_published_preset(base, host));
}

/// Of the methods that the original synthetic benchmark has a simplified rule of: that one, and those as published.
bool as_in_the_seed(const ScorerName& name, const PluginHost& host) {
    const Rule rule = rule_of(name, host);
    const Preset* preset = rule ? preset_of(name, *rule) : nullptr;
    if (!preset || name.base || !name.assignments.empty()) return false;
    if (preset->simplified()) return true;
    return preset->published() && std::ranges::any_of(host.find(name.id)->rules(), [](const Rule& each) {
               return std::ranges::any_of(each->presets(), &Preset::simplified);
           });
}

/// Of the defaults; "" where there is none.
std::string twin_of_defaults(const Plugin& rule) {
    if (!rule.formula().empty()) return rule.formula();
    const std::vector<double> defaults = rule.default_values();
    const auto at = std::ranges::find(rule.presets(), defaults, &Preset::values);
    return at == rule.presets().end() ? "" : at->formula;
}

std::string twin_of(const Preset& preset, const Plugin& rule) {
    if (!preset.formula.empty()) return preset.formula;
    return preset.values == rule.default_values() ? rule.formula() : "";
}

} // namespace

std::vector<std::string> bases_of(const Preset& wrapper) {
    try {
        return wrapper.bases.empty() ? std::vector<std::string>{} : split_scorer_list(wrapper.bases);
    } catch (const UsageError&) {
        return {};
    }
}

bool is_published(std::string_view name, ScorerRules rules, const PluginHost& host) {
    const ScorerName parsed = parse_scorer_name(name);
    return rules == ScorerRules::seed ? as_in_the_seed(parsed, host) : as_published(parsed, host);
}

std::vector<BareName> bare_names(std::string_view name, const PluginHost& host) {
    std::vector<BareName> bare;
    const ScorerName parsed = parse_scorer_name(name);
    for (const ScorerName* each = &parsed; each; each = each->base.get()) {
        const Rule rule = each->preset ? nullptr : host.find(each->id);
        if (!rule) continue;
        const Preset* defaults = preset_of(*each, *rule);
        if (defaults && defaults->published()) continue;
        BareName found{each->without_base(), std::ranges::any_of(rule->presets(), &Preset::simplified), {}};
        for (const Rule& other : rule->rules())
            for (const Preset& preset : other->presets())
                if (preset.published()) found.published.push_back(fmt::format("{}@{}", each->id, preset.name));
        if (!found.published.empty()) bare.push_back(std::move(found));
    }
    return bare;
}

std::optional<std::string> formula_twin(std::string_view name, const PluginHost& host) {
    const ScorerName parsed = parse_scorer_name(name);
    const Rule rule = rule_of(parsed, host);
    for (const PluginError& problem : host.problems()) // and not that there is no such formula
        if (!rule && std::filesystem::path(problem.plugin).stem() == parsed.id) throw PluginError(problem);
    if (!rule || parsed.base || !parsed.assignments.empty()) return std::nullopt;
    std::string formula = parsed.preset ? twin_of(*rule->preset(*parsed.preset), *rule) : twin_of_defaults(*rule);
    if (formula.empty()) return std::nullopt;
    try {
        (void)formula::parse(formula);
    } catch (const UsageError& error) {
        throw UsageError(
            fmt::format("the formula that plugin {} gives for '{}' is none: {}", rule->label(), name, error.what()));
    }
    return formula;
}

std::vector<std::string> scorers_with_twins(const PluginHost& host) {
    std::vector<std::string> names;
    for (const Rule& plugin : host.plugins()) {
        const std::size_t before = names.size();
        const std::string of_defaults = twin_of_defaults(*plugin);
        bool shown = false; // the defaults' formula, by a preset's name
        for (const Rule& rule : plugin->rules())
            for (const Preset& preset : rule->presets())
                if (const std::string twin = twin_of(preset, *rule); !twin.empty()) {
                    names.push_back(plugin->id() + '@' + preset.name);
                    shown = shown || twin == of_defaults;
                }
        if (!of_defaults.empty() && !shown)
            names.insert(names.begin() + static_cast<std::ptrdiff_t>(before), plugin->id());
    }
    return names;
}

} // namespace evictlab
