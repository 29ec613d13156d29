// Scorers from what a person types.
// SPDX-License-Identifier: MIT
#include "framework/scorers/scorer.hpp"

#include <fmt/format.h>

#include <charconv>

#include "base/text/suggestion.hpp"
#include "framework/plugin/descriptor.hpp"
#include "framework/scorers/known_scorer.hpp"
#include "framework/scorers/misspelt.hpp"
#include "framework/scorers/published.hpp"

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
    if (base.plugin() && base.plugin()->scores_model())
        throw UsageError(fmt::format("'{0}' cannot wrap '{1}', whose scores are known once all layers are scored. Use "
                                     "'{1}' by itself",
                                     label, base.label()));
    if (base.plugin() && (base.plugin()->budgets_heads() || base.needs_model() || base.has_threshold()))
        throw UsageError(fmt::format("'{0}' cannot wrap '{1}', which says how many tokens each head{2} keeps: over its "
                                     "scores alone that would be lost. Use '{1}' by itself, or wrap the scorer that "
                                     "is inside it",
                                     label, base.label(), base.needs_model() ? " of each layer" : ""));
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
    if (plugin_ && (plugin_->budgets_layers() || plugin_->budgets_heads() || plugin_->budgets_model())) return true;
    if (has_threshold()) return true;
    for (const Scorer* outer = this; outer->base() && !outer->plugin()->equal_layers(); outer = outer->base())
        if (outer->base()->plugin() && outer->base()->plugin()->budgets_layers()) return true;
    return false;
}

bool Scorer::needs_model() const { return plugin_ && (plugin_->budgets_model() || plugin_->scores_model()); }

bool Scorer::has_threshold() const { return plugin_ && plugin_->threshold(); }

double Scorer::threshold(double removed_fraction) const {
    if (!matched_) return values_[plugin_->threshold()->threshold];
    const auto at = thresholds_.find(removed_fraction);
    if (at != thresholds_.end()) return at->second;
    throw Error(fmt::format("scorer '{}' has no threshold for a removed fraction of {}", label_, removed_fraction));
}

std::size_t Scorer::window() const { return static_cast<std::size_t>(values_[plugin_->threshold()->window]); }

Scorer Scorer::with_thresholds(std::map<double, double> thresholds) const {
    Scorer matched = *this;
    matched.matched_ = true;
    matched.thresholds_ = std::move(thresholds);
    return matched;
}

bool Scorer::wants_tensors() const {
    return (plugin_ && plugin_->wants_tensors()) || (base_ && base_->wants_tensors());
}

std::uint64_t Scorer::tensor_window() const {
    return std::max(plugin_ ? plugin_->tensor_window() : 0, base_ ? base_->tensor_window() : 0);
}

std::vector<std::string> Scorer::tables() const {
    std::vector<std::string> names = base_ ? base_->tables() : std::vector<std::string>{};
    if (plugin_) names.insert(names.end(), plugin_->tables().begin(), plugin_->tables().end());
    return names;
}

bool Scorer::reads_calibration() const {
    return !tables().empty() || std::ranges::any_of(columns_, [](ColumnId id) {
        return id != base_score_id && columns::needs(id) == ColumnNeeds::calibration;
    });
}

namespace {

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
    throw UsageError(fmt::format("scorer '{}' has no preset '{}'{}", plugin->id(), name,
                                 text::what_there_is(name, names, "preset")));
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

void assign(const Plugin& plugin, const ScorerName::Assignment& assignment, std::vector<double>& values) {
    const auto& [key, value] = assignment;
    if (!value) throw UsageError(fmt::format("scorer '{}': '{}' is not param=value", plugin.id(), key));
    const auto parameters = plugin.parameters();
    const auto at = std::ranges::find(parameters, key, &Parameter::key);
    if (at == parameters.end())
        throw UsageError(fmt::format("scorer '{}' has no parameter '{}'{}", plugin.id(), key,
                                     text::what_there_is(key, keys_of(parameters), "parameter")));
    values[static_cast<std::size_t>(at - parameters.begin())] = parse_value(plugin, *at, *value);
}

Scorer from_formula_file(const std::string& text) {
    const fs::path file(text);
    const std::string content = formula::read_formula_file(file);
    try {
        return Scorer::from_formula(file.stem().string(), formula::parse(content));
    } catch (const UsageError& error) {
        throw UsageError(fmt::format("formula file '{}': {}", text, error.what()));
    }
}

/// Whether a name is a formula without its '=': `cumulative_attn`, `window_attn:64`.
bool is_expression(std::string_view text) {
    try {
        return !formula::parse(text).columns().empty();
    } catch (const UsageError&) {
        return false;
    }
}

[[noreturn]] void refuse_unknown(const ScorerName& name, const PluginHost& host) {
    const std::string& id = name.id;
    if (const std::string typed = name.text(); is_expression(typed))
        throw UsageError(fmt::format("unknown scorer '{0}'; it is a formula: did you mean '={0}'?", typed));
    std::vector<std::string> ids;
    for (const auto& plugin : host.plugins()) ids.push_back(plugin->id());
    std::string message =
        fmt::format("unknown scorer '{}'{}", id, text::what_there_is(id, ids, "scorer in the plugin folders"));
    for (const auto& problem : host.problems())
        if (fs::path(problem.plugin).stem() == id) message += fmt::format(" ({})", problem.what());
    throw UsageError(message + "; or give a .so or .formula file, or =EXPRESSION");
}

struct Rule {
    std::string label;
    std::shared_ptr<const Plugin> plugin;
    std::vector<double> values;
    bool matched = false; ///< its preset is
};

bool is_matched(const ScorerName& name, const Plugin& plugin) {
    if (!name.preset || !plugin.preset(*name.preset)->matched() || !plugin.threshold()) return false;
    const std::string& key = plugin.parameters()[plugin.threshold()->threshold].key;
    for (const auto& [given, value] : name.assignments)
        if (given == key)
            throw UsageError(fmt::format("scorer '{}' finds its {} on the train split, and {}={} is given: leave one "
                                         "of both away",
                                         name.without_base(), key, key, value.value_or("")));
    return true;
}

/// `files`: the same host where libraries and formula files may be opened, else null.
Rule make_rule(ScorerName name, const PluginHost& host, PluginHost* files) {
    auto plugin = files && name.is_library() ? files->load(fs::path(name.id)) : host.find(name.id);
    if (!plugin) refuse_unknown(name, host);
    if (name.preset) plugin = rule_with_preset(plugin, *name.preset);
    auto values = name.preset ? plugin->preset(*name.preset)->values : plugin->default_values();
    for (const auto& assignment : name.assignments) assign(*plugin, assignment, values);
    const bool matched = is_matched(name, *plugin);
    name.id = plugin->id(); // a library's path is of this machine only
    return {name.without_base(), plugin, std::move(values), matched};
}

std::string example_base(const Plugin& wrapper) {
    for (const Preset& preset : wrapper.presets())
        if (const auto bases = bases_of(preset); !bases.empty()) return bases.front();
    return "SCORER";
}

Scorer make_named(const ScorerName& name, const PluginHost& host, PluginHost* files) {
    if (name.too_deep)
        throw UsageError(fmt::format("more than {} wrappers around each other in a scorer's name", most_wrappers));
    if (name.expression) return Scorer::from_formula(name.text(), formula::parse(*name.expression));
    if (files && !name.formula_file.empty()) return from_formula_file(name.formula_file);
    if (name.text().empty()) throw UsageError("a scorer's name is empty");

    Rule rule = make_rule(name, host, files);
    if (!name.base) {
        if (rule.plugin->wrapper())
            throw UsageError(
                fmt::format("'{0}' is a wrapper, which scores over another scorer: write {0}({1}), or any other scorer "
                            "in the parentheses",
                            rule.label, example_base(*rule.plugin)));
        Scorer scorer = Scorer::from_plugin(std::move(rule.label), std::move(rule.plugin), std::move(rule.values));
        return rule.matched ? scorer.with_thresholds({}) : scorer;
    }
    if (!rule.plugin->wrapper())
        throw UsageError(fmt::format("scorer '{}' wraps no other: write it without the parentheses", rule.label));
    Scorer scorer = Scorer::from_wrapper(std::move(rule.label), std::move(rule.plugin), std::move(rule.values),
                                         make_named(*name.base, host, files));
    return rule.matched ? scorer.with_thresholds({}) : scorer;
}

/// What else is wrong with a scorer, as the end of a message; "" where nothing is.
std::string further_fault(const ScorerName& name, PluginHost& host) {
    try {
        make_named(name, host, &host);
        return "";
    } catch (const UsageError& error) {
        return fmt::format(". Another fault in it: {}", error.what());
    }
}

/// Where the signs of a refused name are in the wrong places, that is what has to be said.
void refuse_misspelt(const ScorerName& name, PluginHost& host) {
    if (const auto list = respelt_list(name, host))
        throw UsageError(
            fmt::format("'{}' is no scorer; in a list commas stand between scorers: write '{}'", name.text(), *list));
    if (const auto meant = respelt(name, host))
        throw UsageError(
            fmt::format("'{}' is no scorer; parameters stand behind one ':' with commas between them, as in "
                        "ID@PRESET:KEY=VALUE,KEY=VALUE(SCORER): write '{}'{}",
                        name.text(), meant->text(), further_fault(*meant, host)));
}

} // namespace

Scorer make_scorer(std::string_view text, PluginHost& host) {
    const ScorerName name = parse_scorer_name(text);
    try {
        return make_named(name, host, &host);
    } catch (const UsageError&) {
        refuse_misspelt(name, host);
        throw;
    }
}

std::optional<Scorer> known_scorer(std::string_view label, const PluginHost& host) {
    try {
        return make_named(parse_scorer_name(label), host, nullptr);
    } catch (const UsageError&) {
        return std::nullopt;
    }
}

} // namespace evictlab
