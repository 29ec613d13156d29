// Which scorers are published methods, that is what a new one is compared with, and the formulas that some have: what
// plugins say of their presets (evictlab/scorer.h, flags of evl_preset), asked by a scorer's name.
// SPDX-License-Identifier: MIT
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "framework/plugin/host.hpp"
#include "framework/scorers/name.hpp"

namespace evictlab {

/// Which of a plugin's rules are compared under a protocol.
enum class ScorerRules : std::uint8_t {
    seed,      ///< the seed's, which score anew at every query; without budgets and tensors
    published, ///< those of the published methods, which evict for good
};

/// Whether a plugin, by its name as Scorer::label() has it, is a published method as it was published: a preset that
/// its plugin calls published with no parameter changed by hand, or the plain id where the defaults are those of such a
/// preset; a published wrapper over one of these, or over one with the parameters that the wrapper prescribes. Of the
/// seed's rules those of plugins that have a simplified preset, and that preset. A name without a plugin in the
/// host is not published.
bool is_published(std::string_view name, ScorerRules rules, const PluginHost& host);

/// A scorer named without a preset, which runs other than what its plugin publishes.
struct BareName {
    std::string name;                   ///< as typed: `snapkv`, `snapkv:window=16`
    bool of_the_seed = false;           ///< its rule is that of the original synthetic benchmark
    std::vector<std::string> published; ///< what there is instead: `snapkv@kvpress`, `snapkv@paper`
    bool operator==(const BareName&) const = default;
};
/// Those in a name: it, or the scorers inside its parentheses. None where the defaults are a published preset, and of
/// plugins that publish nothing.
std::vector<BareName> bare_names(std::string_view name, const PluginHost& host);

/// The scorers over which `all` shows a wrapper's preset, as its plugin says; none where that is no list of names,
/// which `evictlab check` tells of.
std::vector<std::string> bases_of(const Preset& wrapper);

/// A formula with the scores of a plugin's defaults (`hybrid_start`) or of a preset (`h2o@seed`), as the plugin says;
/// nothing where it says none, or for other names. Throws UsageError where what it says is no formula,
/// PluginError where the plugin is there and could not be loaded.
std::optional<std::string> formula_twin(std::string_view name, const PluginHost& host);

/// The names for which there is one, sorted; a preset's where the defaults are the same.
std::vector<std::string> scorers_with_twins(const PluginHost& host);

} // namespace evictlab
