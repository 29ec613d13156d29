// What a plugin exports, checked and copied: nothing behind this trusts the library's own tables again.
// SPDX-License-Identifier: MIT
#pragma once
#include <evictlab/scorer.h>

#include <algorithm>
#include <cstring>
#include <string>
#include <vector>

#include "framework/plugin/host.hpp"

namespace evictlab {

/// The leading bytes that both sides know, the rest zero: `size` is the other side's idea of its struct, Known is ours.
template <class Known>
Known common_prefix(const void* object, std::size_t size) {
    Known known{};
    std::memcpy(static_cast<void*>(&known), object, std::min(size, sizeof known));
    return known;
}

struct Descriptor {
    evl_plugin plugin{}; ///< common prefix of the exported object: its functions and flags
    std::string id, name, version, description, reference;
    std::vector<std::string> columns; ///< as declared
    std::vector<Parameter> parameters;
    std::vector<Preset> presets;
    const evl_layer_budget* layer_budget = nullptr; ///< null where the plugin has none
    const evl_head_budgets* head_budgets = nullptr;
};

/// Checks the exported object against the contract, the frozen fields first, and so its variants. Throws Error that
/// says what is wrong; `id` is set as soon as it is known to be good, so that the caller can name the plugin. Gives the
/// first rule, then its variants.
std::vector<Descriptor> read_descriptors(const void* exported, std::string& id);

/// The ids of a descriptor's columns for these values. Throws Error.
std::vector<ColumnId> resolve_columns(const Descriptor& descriptor, std::span<const double> values);

/// `h2o`, `recent_attn`: [a-z][a-z0-9_]*.
bool is_identifier(std::string_view text);

/// Why `value` cannot be this parameter's ("must be a whole number"), or nothing.
std::string refusal(const Parameter& parameter, double value);
/// "an integer from 0 to 64", for messages.
std::string range_text(const Parameter& parameter);

} // namespace evictlab
