// SPDX-License-Identifier: MIT
#include "framework/scorers/parameter_space.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace evictlab {
namespace {

/// `snapkv@paper` of `snapkv@paper:window=16`, `adakv` of `adakv:alpha=0.3(snapkv)`.
ScorerName without_parameters(const std::string& label) {
    ScorerName name = parse_scorer_name(label);
    name.assignments.clear();
    name.base = nullptr;
    return name;
}

std::vector<double> preset_values(const Plugin& plugin, const ScorerName& name) {
    return name.preset ? plugin.preset(*name.preset)->values : plugin.default_values();
}

std::string keys_of(std::span<const Parameter> parameters) {
    std::string keys;
    for (const Parameter& parameter : parameters) keys += (keys.empty() ? "" : ", ") + parameter.key;
    return keys;
}

} // namespace

ParameterSpace::ParameterSpace(const Scorer& named) : named_(named) {
    if (!named.plugin())
        throw UsageError(fmt::format("'{}' is a formula, which has no parameters to tune: name a plugin, such as "
                                     "snapkv@kvpress, or evolve the formula itself",
                                     named.label()));
    if (named.matched())
        throw UsageError(
            fmt::format("scorer '{}' finds its threshold on the train split by itself: there is nothing to "
                        "tune it for",
                        named.label()));
    const auto all = named.plugin()->parameters();
    name_ = without_parameters(named.label());
    all_preset_ = preset_values(*named.plugin(), name_);
    for (std::size_t i = 0; i < all.size(); ++i) {
        if (!all[i].evolvable) continue;
        parameters_.push_back(all[i]);
        places_.push_back(i);
        start_.push_back(named.values()[i]);
        preset_.push_back(all_preset_[i]);
    }
    if (!parameters_.empty()) return;
    throw UsageError(fmt::format("scorer '{}' has no evolvable parameters, so there is nothing to tune ({})",
                                 named.label(),
                                 all.empty() ? "it has no parameters at all" : "not evolvable: " + keys_of(all)));
}

std::optional<std::uint64_t> ParameterSpace::size() const {
    double size = 1;
    for (const Parameter& parameter : parameters_) {
        if (parameter.type == EVL_REAL) return std::nullopt;
        size *= parameter.type == EVL_BOOLEAN ? 2 : parameter.max - parameter.min + 1;
    }
    return size < 1e15 ? std::optional(static_cast<std::uint64_t>(size)) : std::nullopt;
}

double ParameterSpace::fitted(std::size_t index, double value) const {
    const Parameter& parameter = parameters_[index];
    if (parameter.type == EVL_BOOLEAN) return value < 0.5 ? 0 : 1;
    if (parameter.type == EVL_INTEGER) value = std::round(value);
    return std::clamp(value, parameter.min, parameter.max);
}

std::vector<double> ParameterSpace::continuous(std::span<const double> values) const {
    std::vector<double> chosen;
    for (std::size_t i = 0; i < values.size(); ++i)
        if (parameters_[i].type == EVL_REAL) chosen.push_back(values[i]);
    return chosen;
}

std::vector<double> ParameterSpace::with_continuous(std::span<const double> values,
                                                    std::span<const double> moved) const {
    std::vector<double> all(values.begin(), values.end());
    std::size_t next = 0;
    for (std::size_t i = 0; i < all.size(); ++i)
        if (parameters_[i].type == EVL_REAL) all[i] = fitted(i, moved[next++]);
    return all;
}

std::vector<double> ParameterSpace::all_values(std::span<const double> values) const {
    std::vector<double> all(named_.values().begin(), named_.values().end());
    for (std::size_t i = 0; i < values.size(); ++i) all[places_[i]] = values[i];
    return all;
}

ScorerName ParameterSpace::name(std::span<const double> all) const {
    const auto parameters = named_.plugin()->parameters();
    ScorerName name = name_;
    for (std::size_t i = 0; i < all.size(); ++i)
        if (all[i] != all_preset_[i]) name.assignments.push_back({parameters[i].key, fmt::format("{}", all[i])});
    return name;
}

std::string ParameterSpace::text(std::span<const double> values) const {
    const std::string text = name(all_values(values)).without_base();
    return named_.base() ? fmt::format("{}({})", text, named_.base()->label()) : text;
}

std::size_t ParameterSpace::changed(std::span<const double> values) const {
    std::size_t count = 0;
    for (std::size_t i = 0; i < values.size(); ++i) count += values[i] != preset_[i] ? 1 : 0;
    return count;
}

Scorer ParameterSpace::scorer(std::span<const double> values) const {
    std::vector<double> all = all_values(values);
    named_.plugin()->create(all)->end(); // the plugin's own words come before those about its columns
    std::string label = name(all).without_base();
    if (!named_.base()) return Scorer::from_plugin(std::move(label), named_.plugin(), std::move(all));
    return Scorer::from_wrapper(std::move(label), named_.plugin(), std::move(all), *named_.base());
}

} // namespace evictlab
