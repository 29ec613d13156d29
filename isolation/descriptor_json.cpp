// SPDX-License-Identifier: MIT
#include "isolation/descriptor_json.hpp"

#include "base/json/json_field.hpp"

namespace evictlab::isolation {
namespace {

Json to_json(const Parameter& p) {
    return {{"key", p.key},
            {"label", p.label},
            {"help", p.help},
            {"type", static_cast<unsigned>(p.type)},
            {"min", p.min},
            {"max", p.max},
            {"default", p.default_value},
            {"log_scale", p.log_scale},
            {"evolvable", p.evolvable}};
}

Json to_json(const Plugin& rule) {
    Json parameters = Json::array(), presets = Json::array();
    for (const Parameter& parameter : rule.parameters()) parameters.push_back(to_json(parameter));
    for (const Preset& preset : rule.presets())
        presets.push_back({{"name", preset.name},
                           {"help", preset.help},
                           {"values", preset.values},
                           {"flags", preset.flags},
                           {"bases", preset.bases},
                           {"formula", preset.formula}});
    const auto flag = [](bool set, std::uint64_t value) { return set ? value : 0; };
    const std::uint64_t flags = flag(rule.deterministic(), EVL_DETERMINISTIC) |
                                flag(rule.concurrent(), EVL_CONCURRENT) | flag(rule.budgeted(), EVL_BUDGETED) |
                                flag(rule.wants_tensors(), EVL_TENSORS) | flag(rule.equal_layers(), EVL_EQUAL_LAYERS);
    const auto columns = rule.column_patterns(), tables = rule.tables();
    Json threshold = Json::array();
    if (const auto parameters_of = rule.threshold()) threshold = {parameters_of->threshold, parameters_of->window};
    return {{"id", rule.id()},
            {"name", rule.name()},
            {"version", rule.version()},
            {"description", rule.description()},
            {"reference", rule.reference()},
            {"formula", rule.formula()},
            {"flags", flags},
            {"tensor_window", rule.tensor_window()},
            {"budgets_layers", rule.budgets_layers()},
            {"budgets_heads", rule.budgets_heads()},
            {"budgets_model", rule.budgets_model()},
            {"model_facts", rule.model_facts()},
            {"scores_model", rule.scores_model()},
            {"threshold", threshold},
            {"columns", std::vector<std::string>(columns.begin(), columns.end())},
            {"tables", std::vector<std::string>(tables.begin(), tables.end())},
            {"parameters", parameters},
            {"presets", presets}};
}

Parameter parameter_from(const JsonField& json) {
    Parameter p;
    p.key = json.member("key").text();
    p.label = json.member("label").text();
    p.help = json.member("help").text();
    p.type = static_cast<evl_param_type>(json.member("type").whole_up_to(EVL_BOOLEAN));
    p.min = json.member("min").number();
    p.max = json.member("max").number();
    p.default_value = json.member("default").number();
    p.log_scale = json.member("log_scale").truth();
    p.evolvable = json.member("evolvable").truth();
    return p;
}

Descriptor descriptor_from(const JsonField& json) {
    Descriptor d;
    d.id = json.member("id").text();
    d.name = json.member("name").text();
    d.version = json.member("version").text();
    d.description = json.member("description").text();
    d.reference = json.member("reference").text();
    d.formula = json.member("formula").text();
    d.flags = json.member("flags").whole<std::uint64_t>();
    d.tensor_window = json.member("tensor_window").whole<std::uint64_t>();
    d.budgets_layers = json.member("budgets_layers").truth();
    d.budgets_heads = json.member("budgets_heads").truth();
    d.budgets_model = json.member("budgets_model").truth();
    d.model_facts = json.member("model_facts").whole<std::uint64_t>();
    d.scores_model = json.member("scores_model").truth();
    if (const auto places = json.member("threshold").elements(); places.size() == 2)
        d.threshold = ThresholdRule{places[0].whole<std::uint64_t>(), places[1].whole<std::uint64_t>()};
    d.columns = json.member("columns").texts();
    d.tables = json.member("tables").texts();
    for (const JsonField& each : json.member("parameters").elements()) d.parameters.push_back(parameter_from(each));
    for (const JsonField& each : json.member("presets").elements())
        d.presets.push_back({each.member("name").text(), each.member("help").text(), each.member("values").numbers(),
                             each.member("flags").whole<std::uint64_t>(), each.member("bases").text(),
                             each.member("formula").text()});
    return d;
}

} // namespace

std::string descriptors_to_json(const Plugin& plugin) {
    Json rules = Json::array();
    for (const auto& rule : plugin.rules()) rules.push_back(to_json(*rule));
    return rules.dump(-1, ' ', false, Json::error_handler_t::replace);
}

std::vector<Descriptor> descriptors_from_json(const std::string& text) {
    const std::string source = "what the plugin says of itself";
    const Json json = parse_json(text, source);
    std::vector<Descriptor> rules;
    for (const JsonField& each : JsonField(json, source).elements()) rules.push_back(descriptor_from(each));
    check_descriptors(rules);
    return rules;
}

} // namespace evictlab::isolation
