// SPDX-License-Identifier: MIT
#include "evolution/run_state.hpp"

#include <fmt/format.h>

#include <charconv>

namespace evictlab::evolution {
namespace {

using Json = nlohmann::ordered_json;

Json member_json(const Member& member) {
    Json json;
    json["id"] = member.id;
    json["formula"] = print(member.formula);
    json["hash"] = member.hash;
    json["train"] = to_json(member.train);
    json["accepted"] = member.accepted;
    json["tunings"] = member.tunings;
    return json;
}

Member member_from_json(const Json& json) {
    Member member;
    json.at("id").get_to(member.id);
    member.formula = formula::parse(json.at("formula").get_ref<const std::string&>());
    json.at("hash").get_to(member.hash);
    member.train = errors_from_json(json.at("train"));
    json.at("accepted").get_to(member.accepted);
    json.at("tunings").get_to(member.tunings);
    member.skeleton = skeleton_of(member.formula);
    return member;
}

Json history_json(const HistoryLine& line) {
    return Json::array({line.generation, line.best_train, line.champion_train, line.champion_valid, line.evaluations});
}

HistoryLine history_from_json(const Json& json) {
    return {json.at(0).get<std::uint32_t>(), json.at(1).get<double>(), json.at(2).get<double>(),
            json.at(3).get<double>(), json.at(4).get<std::uint64_t>()};
}

} // namespace

std::uint64_t hash_number(const std::string& hash) {
    std::uint64_t number = 0;
    const auto [end, wrong] = std::from_chars(hash.data(), hash.data() + hash.size(), number, 16);
    if (wrong != std::errc{} || end != hash.data() + hash.size())
        throw Error(fmt::format("'{}' is not a canonical hash", hash));
    return number;
}

void write_state(const RunState& state, Json& content) {
    content["generation"] = state.generation;
    content["last_champion_generation"] = state.last_champion_generation;
    content["counters"]["candidates"] = state.counters.candidates;
    content["counters"]["accepted"] = state.counters.accepted;
    content["counters"]["duplicates"] = state.counters.duplicates;
    content["counters"]["evaluations"] = state.counters.evaluations;
    content["stop_reason"] = state.stop_reason;
    Json champions = Json::array();
    for (const Candidate& champion : state.champions) champions.push_back(to_json(champion));
    content["champions"] = std::move(champions);
    Json population = Json::array();
    for (const Member& member : state.population) population.push_back(member_json(member));
    content["population"] = std::move(population);
    content["history_columns"] = {"generation", "best_train", "champion_train", "champion_valid", "evaluations"};
    Json history = Json::array();
    for (const HistoryLine& line : state.history) history.push_back(history_json(line));
    content["history"] = std::move(history);
    content["times"]["seconds"] = state.seconds;
}

RunState state_from_json(const Json& content) {
    try {
        RunState state;
        content.at("generation").get_to(state.generation);
        content.at("last_champion_generation").get_to(state.last_champion_generation);
        const Json& counters = content.at("counters");
        counters.at("candidates").get_to(state.counters.candidates);
        counters.at("accepted").get_to(state.counters.accepted);
        counters.at("duplicates").get_to(state.counters.duplicates);
        counters.at("evaluations").get_to(state.counters.evaluations);
        content.at("stop_reason").get_to(state.stop_reason);
        for (const Json& champion : content.at("champions")) state.champions.push_back(candidate_from_json(champion));
        for (const Json& member : content.at("population")) state.population.push_back(member_from_json(member));
        for (const Json& line : content.at("history")) state.history.push_back(history_from_json(line));
        content.at("times").at("seconds").get_to(state.seconds);
        if (state.champions.empty() || state.population.empty())
            throw Error("the saved run has no champion or no population");
        return state;
    } catch (const Json::exception& wrong) {
        throw Error(fmt::format("the state is not that of an evolution run: {}", wrong.what()));
    }
}

} // namespace evictlab::evolution
