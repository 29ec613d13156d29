// SPDX-License-Identifier: MIT
#include "evolution/run_state.hpp"

#include <algorithm>

namespace evictlab::evolution {
namespace {

Json member_json(const Member& member) {
    Json json;
    json["id"] = member.id;
    json.update(to_json(member.genome));
    if (const ParameterSet* const parameters = member.genome.parameters()) json["changed"] = parameters->changed;
    json["hash"] = member.genome.hash_text();
    json["train"] = to_json(member.train);
    json["accepted"] = member.accepted;
    json["tunings"] = member.tunings;
    json["island"] = member.island;
    return json;
}

Member member_from_json(const JsonField& field) {
    Member member;
    member.id = field.member("id").text();
    const auto changed = field.optional_member("changed");
    member.genome = genome_from_json(field, changed ? changed->whole<std::size_t>() : 0);
    member.train = errors_from_json(field.member("train"));
    member.accepted = field.member("accepted").truth();
    member.tunings = field.member("tunings").whole<std::uint32_t>();
    if (const auto island = field.optional_member("island")) member.island = island->whole<std::uint32_t>();
    member.skeleton = skeleton_of(member.genome);
    return member;
}

Json history_json(const HistoryLine& line) {
    return Json::array({line.generation, line.best_train, line.champion_train, line.champion_valid, line.evaluations});
}

HistoryLine history_from_json(const JsonField& field) {
    const auto columns = field.elements();
    if (columns.size() != 5) field.fail("expected one value for each of history_columns");
    return {columns[0].whole<std::uint32_t>(), columns[1].number(), columns[2].number(), columns[3].number(),
            columns[4].whole<std::uint64_t>()};
}

} // namespace

void Seen::add(std::uint64_t hash, std::optional<std::uint64_t> kept_hash, std::size_t nodes) {
    hashes.insert(hash);
    if (!kept_hash) return;
    const auto [at, fresh] = kept.emplace(*kept_hash, nodes);
    if (!fresh) at->second = std::min(at->second, nodes);
}

bool Seen::keeps_as(std::uint64_t kept_hash, std::size_t nodes) const {
    const auto at = kept.find(kept_hash);
    return at != kept.end() && at->second <= nodes;
}

void write_state(const RunState& state, Json& content) {
    content["generation"] = state.generation;
    content["last_champion_generation"] = state.last_champion_generation;
    content["counters"]["candidates"] = state.counters.candidates;
    content["counters"]["accepted"] = state.counters.accepted;
    content["counters"]["duplicates"] = state.counters.duplicates;
    content["counters"]["evaluations"] = state.counters.evaluations;
    content["proposal_outcomes"] = Json::array();
    for (const ProposerRejection& outcome : state.proposal_outcomes)
        content["proposal_outcomes"].push_back(to_json(outcome));
    content["counters"]["semantic_duplicates"] = state.counters.semantic_duplicates;
    content["counters"]["raced_out"] = state.counters.raced_out;
    content["counters"]["refused"] = state.counters.refused;
    content["stop_reason"] = state.stop_reason;
    Json champions = Json::array();
    for (const Candidate& champion : state.champions) champions.push_back(to_json(champion));
    content["champions"] = std::move(champions);
    Json population = Json::array();
    for (const Member& member : state.population) population.push_back(member_json(member));
    content["population"] = std::move(population);
    Json archive = Json::array();
    for (const Member& member : state.archive) archive.push_back(member_json(member));
    content["archive"] = std::move(archive);
    content["history_columns"] = {"generation", "best_train", "champion_train", "champion_valid", "evaluations"};
    Json history = Json::array();
    for (const HistoryLine& line : state.history) history.push_back(history_json(line));
    content["history"] = std::move(history);
    content["times"]["seconds"] = state.seconds;
}

RunState state_from_json(const JsonField& content) {
    RunState state;
    state.generation = content.member("generation").whole<std::uint32_t>();
    state.last_champion_generation = content.member("last_champion_generation").whole<std::uint32_t>();
    const JsonField counters = content.member("counters");
    state.counters.candidates = counters.member("candidates").whole<std::uint64_t>();
    state.counters.accepted = counters.member("accepted").whole<std::uint64_t>();
    state.counters.duplicates = counters.member("duplicates").whole<std::uint64_t>();
    state.counters.evaluations = counters.member("evaluations").whole<std::uint64_t>();
    for (const JsonField& outcome : content.member("proposal_outcomes").elements())
        state.proposal_outcomes.push_back(rejection_from_json(outcome));
    if (const auto count = counters.optional_member("semantic_duplicates"))
        state.counters.semantic_duplicates = count->whole<std::uint64_t>();
    if (const auto count = counters.optional_member("raced_out"))
        state.counters.raced_out = count->whole<std::uint64_t>();
    if (const auto count = counters.optional_member("refused")) state.counters.refused = count->whole<std::uint64_t>();
    state.stop_reason = content.member("stop_reason").text();
    const JsonField champions = content.member("champions"), population = content.member("population");
    for (const JsonField& champion : champions.elements()) state.champions.push_back(candidate_from_json(champion));
    for (const JsonField& member : population.elements()) state.population.push_back(member_from_json(member));
    if (const auto archive = content.optional_member("archive"))
        for (const JsonField& member : archive->elements()) state.archive.push_back(member_from_json(member));
    for (const JsonField& line : content.member("history").elements()) state.history.push_back(history_from_json(line));
    state.seconds = content.member("times").member("seconds").number();
    return state;
}

} // namespace evictlab::evolution
