// What a plugin exports, checked and copied: nothing behind this trusts the library's own tables again.
// SPDX-License-Identifier: MIT
#pragma once
#include <evictlab/scorer.h>

#include <algorithm>
#include <cstring>
#include <string>
#include <vector>

#include "framework/plugin/plugin.hpp"

namespace evictlab {

/// The leading bytes that both sides know, the rest zero: `size` is the other side's idea of its struct, Known is ours.
template <class Known>
Known common_prefix(const void* object, std::size_t size) {
    Known known{};
    std::memcpy(static_cast<void*>(&known), object, std::min(size, sizeof known));
    return known;
}

/// What a rule says of itself: plain data.
struct Descriptor {
    std::string id, name, version, description, reference, formula;
    std::uint64_t flags = 0;
    std::uint64_t tensor_window = 0;
    bool budgets_layers = false, budgets_heads = false, budgets_model = false; ///< its extensions
    std::uint64_t model_facts = 0;                                             ///< of budgets_model, of each layer
    bool scores_model = false;
    std::optional<ThresholdRule> threshold;
    std::vector<std::string> columns; ///< as declared
    std::vector<std::string> tables;  ///< of a calibration
    std::vector<Parameter> parameters;
    std::vector<Preset> presets;
};

/// Its code.
struct RuleFunctions {
    decltype(evl_plugin::create) create = nullptr;
    decltype(evl_plugin::score) score = nullptr;
    decltype(evl_plugin::destroy) destroy = nullptr;
    decltype(evl_layer_budget::layer_budget) layer_budget = nullptr; ///< null where the rule has none
    decltype(evl_head_budgets::head_budgets) head_budgets = nullptr;
    decltype(evl_model_budgets::layer_facts) layer_facts = nullptr;
    decltype(evl_model_budgets::model_budgets) model_budgets = nullptr;
    decltype(evl_model_scores::model_scores) model_scores = nullptr;
};

struct LoadedRule {
    Descriptor descriptor;
    RuleFunctions functions;
};

struct Plugin::Rule {
    Descriptor descriptor;
    std::shared_ptr<const PluginBackend> backend;
};

/// Checks the exported object against the contract, the frozen fields first, and so its variants. Throws Error that
/// says what is wrong; `id` is set as soon as it is known to be good, so that the caller can name the plugin. Gives the
/// first rule, then its variants.
std::vector<LoadedRule> read_rules(const void* exported, std::string& id);

/// The checks that need no exported object, once more: of descriptors that come from elsewhere. Throws Error.
void check_descriptors(std::span<const Descriptor> rules);

/// The ids of a descriptor's columns for these values. Throws Error.
ColumnList resolve_columns(const Descriptor& descriptor, std::span<const double> values);

/// `h2o`, `recent_attn`: [a-z][a-z0-9_]*.
bool is_identifier(std::string_view text);

/// Why `value` cannot be this parameter's ("must be a whole number"), or nothing.
std::string refusal(const Parameter& parameter, double value);
/// "an integer from 0 to 64", for messages.
std::string range_text(const Parameter& parameter);

} // namespace evictlab
