// SPDX-License-Identifier: MIT
#include "evolution/setup.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "base/option_error.hpp"
#include "base/text/shown.hpp"
#include "evolution/candidate.hpp"
#include "evolution/column_choice.hpp"
#include "evolution/search_options.hpp"
#include "evolution/variation/operator.hpp"
#include "framework/cut/shape_json.hpp"
#include "framework/scorers/scorer_class.hpp"

namespace evictlab::evolution {
namespace {

Json config_json(const RunConfig& config) {
    Json json;
    json["seed"] = config.seed;
    json["start"] = config.start;
    if (config.tunes)
        json["tunes"] = true;
    else
        json["start_formula"] = print(config.start_formula);
    write_options(config, json);
    json["columns"] = config.columns;
    if (config.columns_only) json["columns_only"] = true;
    return json;
}

RunConfig config_from_json(const JsonField& field) {
    RunConfig config;
    config.start = field.member("start").text();
    config.tunes = field.optional_member("tunes").has_value();
    if (!config.tunes) config.start_formula = formula_from_json(field.member("start_formula"));
    read_options(field, config);
    config.columns = field.member("columns").texts();
    if (const auto only = field.optional_member("columns_only")) config.columns_only = only->truth();
    return config;
}

Json suite_json(const SearchedSuite& suite) {
    Json json;
    json["name"] = suite.name;
    json["hash"] = suite.hash;
    json["parameters"] = Json::parse(suite.parameters_json);
    json["measure"] = suite.measure;
    if (!suite.calibration.empty()) json["calibration"] = suite.calibration;
    if (!suite.reconstruction.empty()) json["reconstruction"] = suite.reconstruction;
    if (!suite.reference[0].empty()) json["reference"] = {{"train", suite.reference[0]}, {"valid", suite.reference[1]}};
    return json;
}

SearchedSuite suite_from_json(const JsonField& field) {
    SearchedSuite suite;
    suite.name = field.member("name").text();
    suite.hash = field.member("hash").text();
    suite.parameters_json = field.member("parameters").object().dump();
    suite.measure = field.member("measure").text();
    if (const auto calibration = field.optional_member("calibration")) suite.calibration = calibration->text();
    if (const auto second = field.optional_member("reconstruction")) suite.reconstruction = second->text();
    if (const auto reference = field.optional_member("reference"))
        suite.reference = {reference->member("train").numbers(), reference->member("valid").numbers()};
    return suite;
}

/// What a user can do about a field that differs.
std::string_view advice(std::string_view section, std::string_view path) {
    if (path.ends_with("/calibration")) return "give the calibration that the run was started with";
    if (path.ends_with("/reconstruction"))
        return "put the files of the second passes back that the run was started with";
    if (section == "suite" || section == "more_suites") return "give the suite and sizes that the run was started with";
    if (section == "retentions") return "give the retentions that the run was started with";
    if (section == "config") return "leave the option away: a resumed run keeps its own";
    if (section == "build") return "resume with the evictlab that made the run";
    return "put the plugin's former build back";
}

} // namespace

std::vector<ColumnId> RunConfig::readable() const {
    std::vector<ColumnId> found;
    for (const std::string& name : columns) found.push_back(evictlab::columns::intern(name));
    for (const ColumnId id : start_formula.columns())
        if (std::ranges::find(found, id) == found.end()) found.push_back(id);
    return found;
}

namespace {

bool any_needs(const std::vector<ColumnId>& ids, ColumnNeeds what) {
    return std::ranges::any_of(ids, [what](ColumnId id) { return evictlab::columns::needs(id) == what; });
}

} // namespace

bool RunConfig::reads_calibration() const {
    if (space) return space->scorer(space->start()).reads_calibration();
    return any_needs(readable(), ColumnNeeds::calibration);
}

bool RunConfig::reads_second_pass() const {
    if (space) return class_of(space->scorer(space->start())).passes > 1;
    return any_needs(readable(), ColumnNeeds::reconstruction);
}

std::string_view to_string(ParentSelection selection) {
    return selection == ParentSelection::lexicase ? "lexicase" : "tournament";
}

Json to_json(const RunSetup& setup, std::span<const double> retentions) {
    Json json;
    const RunIdentity& id = setup.identity;
    json["suite"] = suite_json({id.suite, id.suite_hash, id.suite_parameters_json, id.measure, id.reference,
                                id.calibration, id.reconstruction});
    json["more_suites"] = Json::array();
    for (const SearchedSuite& suite : id.more_suites) json["more_suites"].push_back(suite_json(suite));
    if (!id.shape.usual()) json["shape"] = evictlab::to_json(id.shape);
    json["retentions"] = std::vector<double>(retentions.begin(), retentions.end());
    if (!id.keep.empty()) json["keep"] = id.keep;
    json["config"] = config_json(setup.config);
    json["build"]["evictlab"] = setup.identity.build;
    json["build"]["engine"] = engine_version;
    json["build"]["operators"] = operators_version;
    json["plugins"] = Json::object();
    for (const auto& [plugin, hash] : setup.identity.plugins) json["plugins"][plugin] = hash;
    if (!id.plugin_files.empty()) json["plugin_files"] = id.plugin_files;
    json["outside"] = {{"judge", id.judge_command},
                       {"judge_timeout", id.judge_timeout},
                       {"proposer", id.proposer_command},
                       {"proposer_timeout", id.proposer_timeout}};
    json["limits"] = limits_json(setup.limits);
    json["command"] = setup.identity.command;
    return json;
}

RunSetup saved_setup(const JsonField& content) {
    RunSetup setup;
    setup.config = config_from_json(content.member("config"));
    SearchedSuite suite = suite_from_json(content.member("suite"));
    setup.identity.suite = std::move(suite.name);
    setup.identity.suite_hash = std::move(suite.hash);
    setup.identity.suite_parameters_json = std::move(suite.parameters_json);
    setup.identity.measure = std::move(suite.measure);
    setup.identity.reference = std::move(suite.reference);
    setup.identity.calibration = std::move(suite.calibration);
    setup.identity.reconstruction = std::move(suite.reconstruction);
    for (const JsonField& more : content.member("more_suites").elements())
        setup.identity.more_suites.push_back(suite_from_json(more));
    if (const auto shape = content.optional_member("shape")) setup.identity.shape = shape_from_json(*shape);
    if (const auto keep = content.optional_member("keep"))
        for (const JsonField& tokens : keep->elements()) setup.identity.keep.push_back(tokens.whole<std::size_t>());
    const JsonField external = content.member("outside");
    setup.identity.judge_command = external.member("judge").text();
    setup.identity.proposer_command = external.member("proposer").text();
    if (const auto timeout = external.optional_member("judge_timeout"))
        setup.identity.judge_timeout = timeout->number();
    if (const auto timeout = external.optional_member("proposer_timeout"))
        setup.identity.proposer_timeout = timeout->number();
    setup.identity.build = content.member("build").member("evictlab").text();
    const JsonField plugins = content.member("plugins");
    for (const auto& item : plugins.object().items())
        setup.identity.plugins[item.key()] = plugins.member(item.key()).text();
    if (const auto files = content.optional_member("plugin_files"))
        for (const auto& item : files->object().items())
            setup.identity.plugin_files[item.key()] = files->member(item.key()).text();
    setup.identity.command = content.member("command").text();
    setup.limits = limits_from_json(content.member("limits"));
    return setup;
}

void check_resumable(const Json& saved, const RunSetup& wanted, std::span<const double> retentions) {
    constexpr std::size_t longest = 500; // a formula may be a setting
    const Json now = to_json(wanted, retentions);
    if (const Shape before = saved.contains("shape") ? shape_from_json(JsonField(saved.at("shape"), "shape")) : Shape{};
        before != wanted.identity.shape)
        throw Error(
            fmt::format("cannot resume: the shape is \"{}\" in the saved run, but \"{}\" now; leave its options "
                        "away, or start a new run in another state file",
                        in_words(before), in_words(wanted.identity.shape)));
    const auto kept = [](const Json& json) { return json.contains("keep") ? json.at("keep").dump() : "no numbers"; };
    if (kept(saved) != kept(now))
        throw Error(fmt::format("cannot resume: the tokens that are kept are {} in the saved run, but {} now; leave "
                                "its budgets away, or start a new run in another state file",
                                text::line(kept(saved), longest), text::line(kept(now), longest)));
    const auto may_read = [](const Json& json) {
        const auto config = json.find("config");
        return config != json.end() && config->contains("columns_only") ? config->value("columns", Json()) : Json();
    };
    if (may_read(saved) != may_read(now))
        throw Error(
            "cannot resume: the saved run may read other columns; leave what limits them away, as a resumed run "
            "keeps its own, or start a new run in another state file");
    for (const char* section : {"suite", "more_suites", "retentions", "config", "build", "plugins"}) {
        if (!saved.contains(section))
            throw Error(fmt::format("the state is not that of an evolution run: no '{}'", section));
        const Json before_flat = saved.at(section).flatten();
        const Json now_flat = now.at(section).flatten();
        for (const auto& [path, before] : before_flat.items()) {
            // Hashes say whether it is the same.
            if (path.ends_with("/parameters/folder") || path.ends_with("/parameters/calibration")) continue;
            const Json after = now_flat.contains(path) ? now_flat[path] : Json("nothing");
            if (before == after) continue;
            throw Error(fmt::format("cannot resume: {}{} is {} in the saved run, but {} now; {}, or start a new run in "
                                    "another state file",
                                    section, text::line(path, 80), text::line(before.dump(), longest),
                                    text::line(after.dump(), longest), advice(section, path)));
        }
    }
}

namespace {

/// What is of formulas alone cannot be asked of a run that tunes a plugin.
void check_tuning(const RunConfig& config) {
    if (!config.space) throw UsageError("a run that tunes a plugin needs its parameters");
    for (const SearchOption& option : search_options())
        if (option.of == OptionOf::formulas && !is_usual(config, option))
            throw OptionError(std::string(option.key),
                              "is for evolving formulas: leave it away where a plugin is tuned");
    if (config.columns_only)
        throw UsageError("columns are chosen for evolving formulas: a plugin that is tuned reads its own");
}

} // namespace

void check_setup(const RunSetup& setup) {
    const RunConfig& config = setup.config;
    if (config.tunes) {
        check_tuning(config);
    } else if (config.start_formula.empty()) {
        throw OptionError("start", "is missing: a run needs a formula to start from");
    }
    for (const SearchOption& option : search_options())
        if (const std::string why = out_of_range(config, option); !why.empty())
            throw OptionError(std::string(option.key), why);
    if (config.population < std::uint64_t{2} * config.islands)
        throw OptionError("islands", fmt::format("is {}, but must be from 1 to {} for a population of {}: an island "
                                                 "has at least 2 formulas",
                                                 config.islands, config.population / 2, config.population));
    if (config.columns.empty()) throw UsageError("a run needs at least one column to search with");
    check_start(config);
    if (config.start_formula.size() > config.max_nodes)
        throw UsageError(fmt::format("the start formula has {} nodes, more than the {} that a candidate may have",
                                     config.start_formula.size(), config.max_nodes));
    const RunLimits& limits = setup.limits;
    if (limits.seconds && !(*limits.seconds > 0)) throw OptionError("max_seconds", "must be above 0");
}

} // namespace evictlab::evolution
