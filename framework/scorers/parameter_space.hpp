// What a search may change of a scorer that is a plugin: its evolvable parameters, from a preset's values or the
// defaults. SPDX-License-Identifier: MIT
#pragma once
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "framework/scorers/scorer.hpp"

namespace evictlab {

/// Sets of values are one value for each of parameters(). Immutable; safe to share between threads.
class ParameterSpace {
public:
    /// The space around a scorer as a person types it: the plugin's preset or defaults, and what was assigned. Of a
    /// wrapper its own parameters, the base staying as it is. Throws UsageError for a formula, and for a plugin without
    /// evolvable parameters (with those that it has).
    explicit ParameterSpace(const Scorer& named);

    std::span<const Parameter> parameters() const { return parameters_; } ///< the evolvable ones, in the order declared
    std::span<const double> start() const { return start_; }              ///< as named
    std::span<const double> preset() const { return preset_; }            ///< of the preset, or the defaults
    /// How many sets there are; nothing where a parameter is continuous, or where they are beyond counting.
    std::optional<std::uint64_t> size() const;
    /// The nearest value that parameter `index` can have.
    double fitted(std::size_t index, double value) const;
    /// The values of continuous parameters alone, and a set with others in their places, fitted.
    std::vector<double> continuous(std::span<const double> values) const;
    std::vector<double> with_continuous(std::span<const double> values, std::span<const double> moved) const;

    /// Canonical: "snapkv@kvpress:window=48" names the preset and then what differs from it, in the order declared. Two
    /// texts are equal for equal scorers. make_scorer() reads it.
    std::string text(std::span<const double> values) const;
    /// How many evolvable parameters differ from the preset's.
    std::size_t changed(std::span<const double> values) const;
    /// With text() as its label. Throws PluginError or UsageError where the plugin refuses these values.
    Scorer scorer(std::span<const double> values) const;

private:
    std::vector<double> all_values(std::span<const double> values) const;
    ScorerName name(std::span<const double> all) const; ///< without a base

    Scorer named_;
    ScorerName name_; ///< id, or id@preset
    std::vector<Parameter> parameters_;
    std::vector<std::size_t> places_;    ///< of parameters_ among the plugin's
    std::vector<double> start_, preset_; ///< of parameters_
    std::vector<double> all_preset_;     ///< of all of the plugin's
};

} // namespace evictlab
