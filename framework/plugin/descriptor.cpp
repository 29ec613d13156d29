// Reading and checking a plugin's exported object.
// SPDX-License-Identifier: MIT
#include "framework/plugin/descriptor.hpp"

#include <fmt/format.h>

#include <cmath>

#include "framework/plugin/column_pattern.hpp"

namespace evictlab {

namespace {

// The sizes of version 1.0, below which no plugin of major version 1 can be.
constexpr std::size_t plugin_size_1_0 = offsetof(evl_plugin, extension) + sizeof(evl_plugin::extension);
constexpr std::size_t param_size_1_0 = offsetof(evl_param, reserved) + sizeof(evl_param::reserved);
constexpr std::size_t preset_size_1_0 = offsetof(evl_preset, values) + sizeof(evl_preset::values);
constexpr std::size_t frozen_size = offsetof(evl_plugin, id);
constexpr std::uint64_t most_entries = 256; // of a table; what a run has room for is everybody's
constexpr std::size_t most_variants = 64;
constexpr std::size_t most_columns = 1024;  // of all rules of a library together
constexpr std::uint64_t most_window = 4096; // queries, of tensor_window
constexpr std::uint64_t most_facts = 4096;  // of a layer, of EVL_MODEL_BUDGETS
constexpr std::size_t longest_text = 16384;

void check_frozen_fields(const evl_plugin& head) {
    if (head.magic != EVL_MAGIC)
        throw Error(fmt::format("wrong magic 0x{:016x} (expected 0x{:016x}): `{}` is not an evl_plugin", head.magic,
                                EVL_MAGIC, EVL_SYMBOL));
    if (head.abi_major != EVL_ABI_MAJOR)
        throw Error(
            fmt::format("built for ABI {}.{}, but this program has ABI {}.{}: the major versions must be equal; "
                        "rebuild the plugin with this program's headers",
                        head.abi_major, head.abi_minor, EVL_ABI_MAJOR, EVL_ABI_MINOR));
    if (head.struct_size < plugin_size_1_0)
        throw Error(fmt::format("struct_size {} is too small: an evl_plugin of ABI 1.0 has {} bytes", head.struct_size,
                                plugin_size_1_0));
}

std::string text(const char* value, std::string_view field) {
    if (!value) throw Error(fmt::format("{} is null", field));
    const std::string_view found(value, ::strnlen(value, longest_text + 1));
    if (found.size() > longest_text) throw Error(fmt::format("{} has more than {} bytes", field, longest_text));
    return std::string(found);
}

/// What may be null.
std::string text_or_none(const char* value, std::string_view field) { return value ? text(value, field) : ""; }

std::string identifier(const char* value, std::string_view field) {
    std::string name = text(value, field);
    if (!is_identifier(name))
        throw Error(fmt::format("{} '{}' is not a name: it must match [a-z][a-z0-9_]*", field, name));
    return name;
}

void check_table(std::string_view what, std::uint64_t count, const void* table) {
    if (count > most_entries) throw Error(fmt::format("{}_count {} is more than {}", what, count, most_entries));
    if (count > 0 && !table) throw Error(fmt::format("{}_count is {}, but {}s is null", what, count, what));
}

void check_table(std::string_view what, std::uint64_t count, const void* table, std::uint64_t size, std::size_t least) {
    check_table(what, count, table);
    if (count > 0 && size < least)
        throw Error(fmt::format("{}_size {} is too small: ABI 1.0 has {} bytes", what, size, least));
}

std::vector<std::string> read_columns(const evl_plugin& plugin) {
    check_table("column", plugin.column_count, plugin.columns);
    std::vector<std::string> names;
    for (std::uint64_t i = 0; i < plugin.column_count; ++i)
        names.push_back(text(plugin.columns[i], fmt::format("column {}", i)));
    return names;
}

std::vector<std::string> read_tables(const evl_plugin& plugin) {
    check_table("table", plugin.table_count, plugin.tables);
    std::vector<std::string> names;
    for (std::uint64_t i = 0; i < plugin.table_count; ++i)
        names.push_back(identifier(plugin.tables[i], fmt::format("table {}", i)));
    return names;
}

void check_parameter(const Parameter& p) {
    const auto refuse = [&](const std::string& why) { throw Error(fmt::format("parameter '{}': {}", p.key, why)); };
    if (!std::isfinite(p.min) || !std::isfinite(p.max) || !std::isfinite(p.default_value))
        refuse(fmt::format("min {}, max {} and default {} must be finite", p.min, p.max, p.default_value));
    if (p.min > p.max) refuse(fmt::format("min {} is above max {}", p.min, p.max));
    if (p.default_value < p.min) refuse(fmt::format("min {} is above the default {}", p.min, p.default_value));
    if (p.default_value > p.max) refuse(fmt::format("max {} is below the default {}", p.max, p.default_value));
    if (p.type != EVL_REAL && (std::trunc(p.min) != p.min || std::trunc(p.max) != p.max))
        refuse(fmt::format("min {} and max {} must be whole numbers", p.min, p.max));
    if (p.type == EVL_BOOLEAN && (p.min < 0 || p.max > 1)) refuse("a boolean's range is 0 to 1");
    if (const auto why = refusal(p, p.default_value); !why.empty())
        refuse(fmt::format("default {} {}", p.default_value, why));
    if (p.log_scale && p.min <= 0) refuse(fmt::format("a log scale needs min above 0, not {}", p.min));
}

Parameter read_parameter(const evl_param& raw, std::uint64_t index) {
    Parameter p;
    p.key = identifier(raw.key, fmt::format("key of parameter {}", index));
    p.label = text_or_none(raw.label, fmt::format("label of parameter {}", index));
    p.help = text_or_none(raw.help, fmt::format("help of parameter {}", index));
    if (p.label.empty()) p.label = p.key;
    if (raw.type > EVL_BOOLEAN) throw Error(fmt::format("parameter '{}': unknown type {}", p.key, raw.type));
    p.type = static_cast<evl_param_type>(raw.type);
    p.min = raw.min, p.max = raw.max, p.default_value = raw.default_value;
    p.log_scale = raw.log_scale != 0, p.evolvable = raw.evolvable != 0;
    check_parameter(p);
    return p;
}

std::vector<Parameter> read_parameters(const evl_plugin& plugin) {
    check_table("param", plugin.param_count, plugin.params, plugin.param_size, param_size_1_0);
    std::vector<Parameter> parameters;
    for (std::uint64_t i = 0; i < plugin.param_count; ++i) {
        const auto* at = reinterpret_cast<const char*>(plugin.params) + i * plugin.param_size;
        Parameter parameter = read_parameter(common_prefix<evl_param>(at, plugin.param_size), i);
        if (std::ranges::count(parameters, parameter.key, &Parameter::key) > 0)
            throw Error(fmt::format("parameter '{}' is declared twice", parameter.key));
        parameters.push_back(std::move(parameter));
    }
    return parameters;
}

void check_preset(const Preset& preset, std::span<const Parameter> parameters) {
    for (std::size_t i = 0; i < parameters.size(); ++i)
        if (const auto why = refusal(parameters[i], preset.values[i]); !why.empty())
            throw Error(fmt::format("preset '{}': {}={} {}", preset.name, parameters[i].key, preset.values[i], why));
}

Preset read_preset(const evl_preset& raw, std::uint64_t index, std::span<const Parameter> parameters) {
    Preset preset{identifier(raw.name, fmt::format("name of preset {}", index)),
                  text_or_none(raw.help, fmt::format("help of preset {}", index)),
                  {},
                  raw.flags,
                  text_or_none(raw.bases, fmt::format("bases of preset {}", index)),
                  text_or_none(raw.formula, fmt::format("formula of preset {}", index))};
    if (!raw.values && !parameters.empty()) throw Error(fmt::format("preset '{}': values is null", preset.name));
    if (!parameters.empty()) preset.values.assign(raw.values, raw.values + parameters.size());
    check_preset(preset, parameters);
    return preset;
}

std::vector<Preset> read_presets(const evl_plugin& plugin, std::span<const Parameter> parameters) {
    check_table("preset", plugin.preset_count, plugin.presets, plugin.preset_size, preset_size_1_0);
    std::vector<Preset> presets;
    for (std::uint64_t i = 0; i < plugin.preset_count; ++i) {
        const auto* at = reinterpret_cast<const char*>(plugin.presets) + i * plugin.preset_size;
        Preset preset = read_preset(common_prefix<evl_preset>(at, plugin.preset_size), i, parameters);
        if (std::ranges::count(presets, preset.name, &Preset::name) > 0)
            throw Error(fmt::format("preset '{}' is declared twice", preset.name));
        presets.push_back(std::move(preset));
    }
    return presets;
}

} // namespace

bool is_identifier(std::string_view text) {
    const auto letter = [](char c) { return c >= 'a' && c <= 'z'; };
    return !text.empty() && letter(text[0]) &&
           std::ranges::all_of(text, [&](char c) { return letter(c) || (c >= '0' && c <= '9') || c == '_'; });
}

std::string range_text(const Parameter& parameter) {
    if (parameter.type == EVL_BOOLEAN) return "true or false";
    return fmt::format("{} from {} to {}", parameter.type == EVL_INTEGER ? "a whole number" : "a number", parameter.min,
                       parameter.max);
}

std::string refusal(const Parameter& parameter, double value) {
    const bool whole = parameter.type == EVL_REAL || std::trunc(value) == value;
    if (std::isfinite(value) && whole && value >= parameter.min && value <= parameter.max) return {};
    return "must be " + range_text(parameter);
}

ColumnList resolve_columns(const Descriptor& descriptor, std::span<const double> values) {
    ColumnList columns;
    for (const auto& pattern : descriptor.columns) {
        const auto name = fill_column_pattern(pattern, descriptor.parameters, values);
        if (name == base_score_column)
            columns.add_foreign(base_score_id);
        else if (!columns::known(name))
            throw Error(
                fmt::format("asks for the unknown column '{}'; known columns: {}", name, columns::known_names()));
        else
            columns.add(name);
    }
    return columns;
}

namespace {

template <class Extension>
const Extension* find_extension(const evl_plugin& plugin, const char* id) {
    return plugin.extension ? static_cast<const Extension*>(plugin.extension(id)) : nullptr;
}

void check_threshold(const Descriptor& d) {
    const auto refuse = [](std::string_view why) {
        throw Error(fmt::format("the extension {}: {}", EVL_THRESHOLD, why));
    };
    if (!d.threshold) return;
    const auto [threshold, window] = *d.threshold;
    if (d.budgets_layers || d.budgets_heads || d.budgets_model)
        refuse("a threshold goes with no budgets for layers, heads or the model");
    if (d.flags & EVL_BUDGETED) refuse("a threshold goes with no scores for a budget");
    if (threshold >= d.parameters.size() || window >= d.parameters.size())
        refuse(fmt::format("it names parameters {} and {} of {}", threshold, window, d.parameters.size()));
    if (d.parameters[threshold].type != EVL_REAL) refuse("its threshold is no real number");
    if (d.parameters[window].type != EVL_INTEGER || d.parameters[window].min < 1)
        refuse("its window is no whole number from 1");
}

void check_extensions(const Descriptor& d) {
    check_threshold(d);
    if (d.budgets_model && d.budgets_heads)
        throw Error(fmt::format("it has both extensions {} and {}: how many tokens a head keeps can only be said once",
                                EVL_HEAD_BUDGETS, EVL_MODEL_BUDGETS));
    if (d.model_facts > most_facts)
        throw Error(fmt::format("the extension {}: {} facts of a layer are more than {}", EVL_MODEL_BUDGETS,
                                d.model_facts, most_facts));
}

void read_extensions(const evl_plugin& plugin, LoadedRule& rule) {
    const auto* layers = find_extension<evl_layer_budget>(plugin, EVL_LAYER_BUDGET);
    const auto* heads = find_extension<evl_head_budgets>(plugin, EVL_HEAD_BUDGETS);
    const auto* model = plugin.abi_minor < 4 // it knows no such id, and may have something for every one
                            ? nullptr
                            : find_extension<evl_model_budgets>(plugin, EVL_MODEL_BUDGETS);
    if (layers && !layers->layer_budget)
        throw Error(fmt::format("the extension {}: its function is null", EVL_LAYER_BUDGET));
    if (heads && !heads->head_budgets)
        throw Error(fmt::format("the extension {}: its function is null", EVL_HEAD_BUDGETS));
    if (model && (!model->model_budgets || (model->facts > 0 && !model->layer_facts)))
        throw Error(fmt::format("the extension {}: its function is null", EVL_MODEL_BUDGETS));
    const auto* threshold = plugin.abi_minor < 4 ? nullptr : find_extension<evl_threshold>(plugin, EVL_THRESHOLD);
    const auto* scores = plugin.abi_minor < 4 ? nullptr : find_extension<evl_model_scores>(plugin, EVL_MODEL_SCORES);
    if (scores && !scores->model_scores)
        throw Error(fmt::format("the extension {}: its function is null", EVL_MODEL_SCORES));
    if (scores) rule.functions.model_scores = scores->model_scores;
    rule.descriptor.scores_model = scores;
    if (threshold) rule.descriptor.threshold = ThresholdRule{threshold->threshold, threshold->window};
    if (layers) rule.functions.layer_budget = layers->layer_budget;
    if (heads) rule.functions.head_budgets = heads->head_budgets;
    rule.descriptor.budgets_layers = layers;
    rule.descriptor.budgets_heads = heads;
    if (model) {
        rule.functions.layer_facts = model->layer_facts;
        rule.functions.model_budgets = model->model_budgets;
        rule.descriptor.budgets_model = true;
        rule.descriptor.model_facts = model->facts;
    }
    check_extensions(rule.descriptor);
}

void check_count(std::string_view what, std::size_t count) {
    if (count > most_entries) throw Error(fmt::format("{}_count {} is more than {}", what, count, most_entries));
}

/// The columns for the defaults and each preset, and what goes together.
void check_whole(const Descriptor& d) {
    std::vector<double> defaults;
    for (const auto& parameter : d.parameters) defaults.push_back(parameter.default_value);
    resolve_columns(d, defaults);
    for (const Preset& preset : d.presets) {
        try {
            resolve_columns(d, preset.values);
        } catch (const Error& error) {
            throw Error(fmt::format("preset '{}': {}", preset.name, error.what()));
        }
    }
    if (d.tensor_window > most_window)
        throw Error(fmt::format("tensor_window {} is more than {}", d.tensor_window, most_window));
    if (d.tensor_window > 0 && !(d.flags & EVL_TENSORS))
        throw Error(fmt::format("tensor_window is {}, but the flag EVL_TENSORS is not set", d.tensor_window));
}

/// `next`: the exported object of the rule's variant, or null.
LoadedRule read_rule(const void* exported, std::string& id, const evl_plugin*& next) {
    const auto frozen = common_prefix<evl_plugin>(exported, frozen_size);
    check_frozen_fields(frozen);
    const auto plugin = common_prefix<evl_plugin>(exported, frozen.struct_size);
    LoadedRule rule;
    Descriptor& d = rule.descriptor;
    d.id = identifier(plugin.id, "id");
    id = d.id;
    d.name = text(plugin.name, "name");
    d.version = text(plugin.version, "version");
    d.description = text(plugin.description, "description");
    d.reference = text(plugin.reference, "reference");
    d.formula = text_or_none(plugin.formula, "formula");
    d.flags = plugin.flags;
    d.tensor_window = plugin.tensor_window;
    d.columns = read_columns(plugin);
    d.tables = read_tables(plugin);
    d.parameters = read_parameters(plugin);
    d.presets = read_presets(plugin, d.parameters);
    check_whole(d);
    if (!plugin.create) throw Error("the function create is null");
    if (!plugin.score) throw Error("the function score is null");
    if (!plugin.destroy) throw Error("the function destroy is null");
    rule.functions.create = plugin.create;
    rule.functions.score = plugin.score;
    rule.functions.destroy = plugin.destroy;
    read_extensions(plugin, rule);
    next = plugin.variant;
    return rule;
}

void check_variant(const Descriptor& variant, std::span<const Descriptor> before) {
    std::size_t columns = variant.columns.size();
    for (const auto& other : before) columns += other.columns.size();
    if (columns > most_columns)
        throw Error(fmt::format("its rules ask for {} columns, more than the {} of a library", columns, most_columns));
    if (variant.id != before[0].id)
        throw Error(fmt::format("variant {} has the id '{}' instead of '{}'", before.size(), variant.id, before[0].id));
    for (const auto& preset : variant.presets)
        for (const auto& other : before)
            if (std::ranges::count(other.presets, preset.name, &Preset::name) > 0)
                throw Error(fmt::format("preset '{}' is declared by two variants", preset.name));
}

} // namespace

std::vector<LoadedRule> read_rules(const void* exported, std::string& id) {
    std::vector<LoadedRule> rules;
    std::vector<Descriptor> known;
    for (const void* next = exported; next;) {
        if (rules.size() == most_variants)
            throw Error(fmt::format("more than {} variants: the chain seems not to end", most_variants));
        const evl_plugin* variant = nullptr;
        std::string unused;
        rules.push_back(read_rule(next, rules.empty() ? id : unused, variant));
        if (!known.empty()) check_variant(rules.back().descriptor, known);
        known.push_back(rules.back().descriptor);
        next = variant;
    }
    return rules;
}

void check_descriptors(std::span<const Descriptor> rules) {
    if (rules.empty() || rules.size() > most_variants) throw Error(fmt::format("{} rules", rules.size()));
    for (std::size_t r = 0; r < rules.size(); ++r) {
        const Descriptor& d = rules[r];
        identifier(d.id.c_str(), "id");
        check_count("column", d.columns.size());
        check_count("table", d.tables.size());
        for (const std::string& table : d.tables) identifier(table.c_str(), "name of a table");
        check_count("param", d.parameters.size());
        check_count("preset", d.presets.size());
        for (const Parameter& parameter : d.parameters) {
            identifier(parameter.key.c_str(), "key of a parameter");
            check_parameter(parameter);
            if (std::ranges::count(d.parameters, parameter.key, &Parameter::key) > 1)
                throw Error(fmt::format("parameter '{}' is declared twice", parameter.key));
        }
        for (const Preset& preset : d.presets) {
            identifier(preset.name.c_str(), "name of a preset");
            if (preset.values.size() != d.parameters.size())
                throw Error(fmt::format("preset '{}': {} values for {} parameters", preset.name, preset.values.size(),
                                        d.parameters.size()));
            check_preset(preset, d.parameters);
            if (std::ranges::count(d.presets, preset.name, &Preset::name) > 1)
                throw Error(fmt::format("preset '{}' is declared twice", preset.name));
        }
        if (r > 0) check_variant(d, rules.first(r));
        check_whole(d);
        check_extensions(d);
    }
}

} // namespace evictlab
