// SPDX-License-Identifier: MIT
#include "evolution/setup.hpp"

#include <fmt/format.h>

#include "evolution/variation/operator.hpp"

namespace evictlab::evolution {
namespace {

using Json = nlohmann::ordered_json;

Json config_json(const RunConfig& config) {
    Json json;
    json["seed"] = config.seed;
    json["start"] = config.start;
    json["start_formula"] = print(config.start_formula);
    json["population"] = config.population;
    json["max_nodes"] = config.max_nodes;
    json["node_price"] = config.node_price;
    json["tuned"] = config.tuned;
    json["tuning_evaluations"] = config.tuning_evaluations;
    json["columns"] = config.columns;
    return json;
}

RunConfig config_from_json(const Json& json) {
    RunConfig config;
    json.at("seed").get_to(config.seed);
    json.at("start").get_to(config.start);
    config.start_formula = formula::parse(json.at("start_formula").get_ref<const std::string&>());
    json.at("population").get_to(config.population);
    json.at("max_nodes").get_to(config.max_nodes);
    json.at("node_price").get_to(config.node_price);
    json.at("tuned").get_to(config.tuned);
    json.at("tuning_evaluations").get_to(config.tuning_evaluations);
    json.at("columns").get_to(config.columns);
    return config;
}

template <class Value>
Json json_or_null(const std::optional<Value>& value) {
    return value ? Json(*value) : Json(nullptr);
}

template <class Value>
void read_limit(const Json& json, const char* key, std::optional<Value>& value) {
    if (json.contains(key) && !json[key].is_null()) value = json[key].get<Value>();
}

Json limits_json(const RunLimits& limits) {
    Json json;
    json["generations"] = json_or_null(limits.generations);
    json["evaluations"] = json_or_null(limits.evaluations);
    json["seconds"] = json_or_null(limits.seconds);
    json["target"] = json_or_null(limits.target);
    json["patience"] = json_or_null(limits.patience);
    return json;
}

/// What a user can do about a field that differs.
std::string_view advice(std::string_view section) {
    if (section == "suite") return "give the suite and sizes that the run was started with";
    if (section == "retentions") return "give the retentions that the run was started with";
    if (section == "config") return "leave the option away: a resumed run keeps its own";
    if (section == "build") return "resume with the evictlab that made the run";
    return "put the plugin's former build back";
}

} // namespace

Json to_json(const RunSetup& setup, std::span<const double> retentions) {
    Json json;
    json["suite"]["name"] = setup.identity.suite;
    json["suite"]["hash"] = setup.identity.suite_hash;
    json["suite"]["parameters"] = Json::parse(setup.identity.suite_parameters_json);
    json["retentions"] = std::vector<double>(retentions.begin(), retentions.end());
    json["config"] = config_json(setup.config);
    json["build"]["evictlab"] = setup.identity.build;
    json["build"]["engine"] = engine_version;
    json["build"]["operators"] = operators_version;
    json["plugins"] = Json::object();
    for (const auto& [id, hash] : setup.identity.plugins) json["plugins"][id] = hash;
    json["limits"] = limits_json(setup.limits);
    json["command"] = setup.identity.command;
    return json;
}

RunSetup saved_setup(const Json& content) {
    try {
        RunSetup setup;
        setup.config = config_from_json(content.at("config"));
        setup.identity.suite = content.at("suite").at("name").get<std::string>();
        setup.identity.suite_hash = content.at("suite").at("hash").get<std::string>();
        setup.identity.suite_parameters_json = content.at("suite").at("parameters").dump();
        setup.identity.build = content.at("build").at("evictlab").get<std::string>();
        for (const auto& [id, hash] : content.at("plugins").items())
            setup.identity.plugins[id] = hash.get<std::string>();
        setup.identity.command = content.at("command").get<std::string>();
        const Json& limits = content.at("limits");
        read_limit(limits, "generations", setup.limits.generations);
        read_limit(limits, "evaluations", setup.limits.evaluations);
        read_limit(limits, "seconds", setup.limits.seconds);
        read_limit(limits, "target", setup.limits.target);
        read_limit(limits, "patience", setup.limits.patience);
        return setup;
    } catch (const Json::exception& wrong) {
        throw Error(fmt::format("the state is not that of an evolution run: {}", wrong.what()));
    }
}

void check_resumable(const Json& saved, const RunSetup& wanted, std::span<const double> retentions) {
    const Json now = to_json(wanted, retentions);
    for (const char* section : {"suite", "retentions", "config", "build", "plugins"}) {
        if (!saved.contains(section))
            throw Error(fmt::format("the state is not that of an evolution run: no '{}'", section));
        const Json before_flat = saved.at(section).flatten();
        const Json now_flat = now.at(section).flatten();
        for (const auto& [path, before] : before_flat.items()) {
            const Json after = now_flat.contains(path) ? now_flat[path] : Json("nothing");
            if (before == after) continue;
            throw Error(
                fmt::format("cannot resume: {}{} is {} in the saved run, but {} now; {}, or start a new run with "
                            "another --state file",
                            section, path, before.dump(), after.dump(), advice(section)));
        }
    }
}

void check_setup(const RunSetup& setup) {
    const RunConfig& config = setup.config;
    if (config.start_formula.empty()) throw UsageError("a run needs a formula to start from: give --start");
    if (config.population < 2) throw UsageError("a population has at least 2 formulas: give a larger --population");
    if (config.columns.empty()) throw UsageError("a run needs at least one column to search with");
    if (config.start_formula.size() > config.max_nodes)
        throw UsageError(fmt::format("the start formula has {} nodes, more than the {} that a candidate may have",
                                     config.start_formula.size(), config.max_nodes));
    const RunLimits& limits = setup.limits;
    if (limits.seconds && !(*limits.seconds > 0)) throw UsageError("--max-seconds must be above 0");
}

} // namespace evictlab::evolution
