// Scorers from what a person types.
// SPDX-License-Identifier: MIT
#include "framework/scorers/scorer.hpp"

#include <fmt/format.h>

#include <charconv>

#include "framework/plugin/descriptor.hpp"
#include "framework/scorers/suggestion.hpp"

namespace evictlab {

namespace fs = std::filesystem;

Scorer Scorer::from_plugin(std::string label, std::shared_ptr<const Plugin> plugin, std::vector<double> values) {
    Scorer scorer;
    scorer.label_ = std::move(label);
    scorer.plugin_ = std::move(plugin);
    scorer.values_ = std::move(values);
    scorer.held_ = scorer.plugin_->columns(scorer.values_);
    scorer.own_columns_.assign(scorer.held_.begin(), scorer.held_.end());
    scorer.columns_ = scorer.own_columns_;
    return scorer;
}

Scorer Scorer::from_wrapper(std::string label, std::shared_ptr<const Plugin> plugin, std::vector<double> values,
                            Scorer base) {
    if (base.plugin() && base.plugin()->budgets_heads())
        throw UsageError(fmt::format("'{0}' cannot wrap '{1}', which says how many tokens each head keeps: over its "
                                     "scores alone that would be lost. Use '{1}' by itself, or wrap the scorer that "
                                     "is inside it",
                                     label, base.label()));
    Scorer scorer = from_plugin(fmt::format("{}({})", label, base.label()), std::move(plugin), std::move(values));
    std::erase(scorer.columns_, base_score_id);
    for (const ColumnId id : base.columns())
        if (std::ranges::count(scorer.columns_, id) == 0) scorer.columns_.push_back(id);
    scorer.base_ = std::make_shared<const Scorer>(std::move(base));
    return scorer;
}

Scorer Scorer::from_formula(std::string label, formula::Formula formula) {
    Scorer scorer;
    scorer.label_ = std::move(label);
    scorer.program_.emplace(formula);
    scorer.formula_ = std::move(formula);
    scorer.own_columns_.assign(scorer.program_->columns().begin(), scorer.program_->columns().end());
    scorer.columns_ = scorer.own_columns_;
    return scorer;
}

bool Scorer::budgeted() const { return (plugin_ && plugin_->budgeted()) || (base_ && base_->budgeted()); }

bool Scorer::allocates() const {
    if (plugin_ && (plugin_->budgets_layers() || plugin_->budgets_heads())) return true;
    for (const Scorer* outer = this; outer->base() && !outer->plugin()->equal_layers(); outer = outer->base())
        if (outer->base()->plugin() && outer->base()->plugin()->budgets_layers()) return true;
    return false;
}

bool Scorer::wants_tensors() const {
    return (plugin_ && plugin_->wants_tensors()) || (base_ && base_->wants_tensors());
}

std::uint64_t Scorer::tensor_window() const {
    return std::max(plugin_ ? plugin_->tensor_window() : 0, base_ ? base_->tensor_window() : 0);
}

namespace {

constexpr auto npos = std::string_view::npos;

// `id@preset:key=value,...` taken apart.
struct ScorerText {
    std::string_view id; // or the path of a library
    std::optional<std::string_view> preset, assignments;
};

ScorerText take_apart(std::string_view text) {
    ScorerText parts;
    // A path may hold '@' and ':', so a library's parts are looked for behind its `.so`.
    const auto library_end = text.rfind(".so");
    const auto from = library_end == npos ? 0 : library_end + 3;
    if (const auto colon = text.find(':', from); colon != npos) {
        parts.assignments = text.substr(colon + 1);
        text = text.substr(0, colon);
    }
    if (const auto at = text.find('@', from); at != npos) {
        parts.preset = text.substr(at + 1);
        text = text.substr(0, at);
    }
    parts.id = text;
    return parts;
}

std::vector<std::string> keys_of(std::span<const Parameter> parameters) {
    std::vector<std::string> keys;
    for (const auto& parameter : parameters) keys.push_back(parameter.key);
    return keys;
}

std::shared_ptr<const Plugin> rule_with_preset(const std::shared_ptr<const Plugin>& plugin, std::string_view name) {
    std::vector<std::string> names;
    for (const auto& rule : plugin->rules()) {
        if (rule->preset(name)) return rule;
        for (const auto& preset : rule->presets()) names.push_back(preset.name);
    }
    throw UsageError(
        fmt::format("scorer '{}' has no preset '{}'{}", plugin->id(), name, what_there_is(name, names, "preset")));
}

double parse_value(const Plugin& plugin, const Parameter& parameter, std::string_view text) {
    if (parameter.type == EVL_BOOLEAN && (text == "true" || text == "false")) return text == "true";
    double value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    const bool number = error == std::errc{} && end == text.data() + text.size() && !text.empty();
    if (number && refusal(parameter, value).empty()) return value;
    throw UsageError(fmt::format("scorer '{}': {}={} is refused: {} must be {} (default {})", plugin.id(),
                                 parameter.key, text, parameter.key, range_text(parameter), parameter.default_value));
}

void assign(const Plugin& plugin, std::string_view assignment, std::vector<double>& values) {
    const auto equals = assignment.find('=');
    if (equals == npos) throw UsageError(fmt::format("scorer '{}': '{}' is not param=value", plugin.id(), assignment));
    const auto key = assignment.substr(0, equals);
    const auto parameters = plugin.parameters();
    const auto at = std::ranges::find(parameters, key, &Parameter::key);
    if (at == parameters.end())
        throw UsageError(fmt::format("scorer '{}' has no parameter '{}'{}", plugin.id(), key,
                                     what_there_is(key, keys_of(parameters), "parameter")));
    values[static_cast<std::size_t>(at - parameters.begin())] = parse_value(plugin, *at, assignment.substr(equals + 1));
}

Scorer from_formula_file(std::string_view text) {
    const fs::path file(text);
    const std::string content = formula::read_formula_file(file);
    try {
        return Scorer::from_formula(file.stem().string(), formula::parse(content));
    } catch (const UsageError& error) {
        throw UsageError(fmt::format("formula file '{}': {}", text, error.what()));
    }
}

[[noreturn]] void refuse_unknown(std::string_view id, const PluginHost& host) {
    std::vector<std::string> ids;
    for (const auto& plugin : host.plugins()) ids.push_back(plugin->id());
    std::string message =
        fmt::format("unknown scorer '{}'{}", id, what_there_is(id, ids, "scorer in the plugin folders"));
    for (const auto& problem : host.problems())
        if (fs::path(problem.plugin).stem() == id) message += fmt::format(" ({})", problem.what());
    throw UsageError(message + "; or give a .so or .formula file, or =EXPRESSION");
}

std::string_view trimmed(std::string_view text) {
    const auto first = text.find_first_not_of(" \t\n");
    if (first == npos) return {};
    return text.substr(first, text.find_last_not_of(" \t\n") - first + 1);
}

bool is_assignment(std::string_view text) {
    const auto equals = text.find('=');
    return equals != npos && is_identifier(trimmed(text.substr(0, equals))) &&
           !text.substr(equals + 1).starts_with('=');
}

// Where the parenthesis opens that the last character of `wrapper(base)` closes; npos where there is none.
std::size_t base_begin(std::string_view text) {
    int depth = 0;
    for (std::size_t i = text.size(); text.ends_with(')') && i-- > 0;) {
        if (text[i] == ')') ++depth;
        if (text[i] == '(' && --depth == 0) return i;
    }
    return npos;
}

void assign_all(const Plugin& plugin, std::string_view assignments, std::vector<double>& values) {
    for (bool more = true; more;) {
        const auto comma = assignments.find(',');
        assign(plugin, trimmed(assignments.substr(0, comma)), values);
        more = comma != npos;
        if (more) assignments.remove_prefix(comma + 1);
    }
}

struct Rule {
    std::string label;
    std::shared_ptr<const Plugin> plugin;
    std::vector<double> values;
};

Rule make_rule(std::string_view text, PluginHost& host) {
    const ScorerText parts = take_apart(text);
    auto plugin = parts.id.ends_with(".so") ? host.load(fs::path(parts.id)) : host.find(parts.id);
    if (!plugin) refuse_unknown(parts.id, host);
    if (parts.preset) plugin = rule_with_preset(plugin, *parts.preset);
    auto values = parts.preset ? plugin->preset(*parts.preset)->values : plugin->default_values();
    if (parts.assignments) assign_all(*plugin, *parts.assignments, values);
    // A library is named by its id: its path is of this machine only.
    return {plugin->id() + std::string(text.substr(parts.id.size())), plugin, std::move(values)};
}

constexpr int most_wrappers = 8; // around each other

Scorer make_wrapped(std::string_view text, PluginHost& host, int wrappers) {
    text = trimmed(text);
    if (wrappers > most_wrappers)
        throw UsageError(fmt::format("more than {} wrappers around each other in a scorer's name", most_wrappers));
    if (text.empty()) throw UsageError("a scorer's name is empty");
    if (text.starts_with('=')) return Scorer::from_formula(std::string(text), formula::parse(text.substr(1)));
    if (text.ends_with(".formula")) return from_formula_file(text);

    const auto open = base_begin(text);
    Rule rule = make_rule(trimmed(text.substr(0, open)), host);
    if (open == npos) {
        if (rule.plugin->wrapper())
            throw UsageError(
                fmt::format("'{0}' is a wrapper, which scores over another scorer: write {0}(snapkv@kvpress), or any "
                            "other scorer in the parentheses",
                            rule.label));
        return Scorer::from_plugin(std::move(rule.label), std::move(rule.plugin), std::move(rule.values));
    }
    if (!rule.plugin->wrapper())
        throw UsageError(fmt::format("scorer '{}' wraps no other: write it without the parentheses", rule.label));
    return Scorer::from_wrapper(std::move(rule.label), std::move(rule.plugin), std::move(rule.values),
                                make_wrapped(text.substr(open + 1, text.size() - open - 2), host, wrappers + 1));
}

} // namespace

Scorer make_scorer(std::string_view text, PluginHost& host) { return make_wrapped(text, host, 0); }

std::vector<std::string> split_scorer_list(std::string_view text) {
    std::vector<std::string> parts;
    std::size_t begin = 0;
    int depth = 0;
    for (std::size_t i = 0; i <= text.size(); ++i) {
        if (i < text.size() && text[i] == '(') ++depth;
        if (i < text.size() && text[i] == ')') --depth;
        const bool comma = i < text.size() && text[i] == ',' && depth <= 0;
        if (i < text.size() && !comma) continue;
        const auto part = trimmed(text.substr(begin, i - begin));
        if (part.empty()) throw UsageError(fmt::format("a scorer's name is empty in the list '{}'", text));
        if (!parts.empty() && is_assignment(part))
            parts.back().append(",").append(part);
        else
            parts.emplace_back(part);
        begin = i + 1;
    }
    return parts;
}

} // namespace evictlab
