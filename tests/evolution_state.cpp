// Candidates and a run's state as JSON and back, field by field; what is wrong with a file is told by the field.
// SPDX-License-Identifier: MIT
#include "evolution/run_state.hpp"

#include <functional>

#include "tests/support/catch.hpp"
#include "tests/support/made_search.hpp"

using namespace evictlab;
using namespace evictlab::evolution;
using test::made_candidate;
using test::made_error;
using test::made_member;

namespace {

const std::string file = "a file";

Candidate full_candidate() {
    Candidate made = made_candidate("g12-s34", "recent_attn + 2*key_norm", 0.5, 0.75);
    made.generation = 12;
    made.slot = 34;
    made.parents = {"g1-s2", "g3-s4"};
    made.op = "hoist";
    made.hypothesis = "it may be better";
    made.kept_hash = 0xfe;
    made.train = {{0.25, 0.75}, 0.5, {{0.125, 0.5}, {0.375, 1}}, ""};
    made.valid = FormulaErrors{{0.5, 1}, 0.75, {}, ""};
    made.verdict = CandidateVerdict{{{3, 4}, 3.5, {{3, 4}}, ""}, FormulaErrors{{5, 6}, 5.5, {{5, 6}}, ""}};
    made.status = Status::champion;
    made.reason = "beats all";
    return made;
}

Candidate read_candidate(const Json& json) { return candidate_from_json(JsonField(json, file)); }

RunState full_state() {
    RunState state;
    state.generation = 7;
    state.last_champion_generation = 5;
    state.counters = {11, 12, 13, 14, 15, 16, 17};
    state.population = {made_member("recent_attn", 0.25, 1), made_member("key_norm", 0.5, 2)};
    state.population[0].accepted = true;
    state.population[0].tunings = 4;
    state.champions = {made_candidate("first", "position", 0.9, 0.8), full_candidate()};
    state.history = {{6, 0.1, 0.2, 0.3, 100}, {7, 0.4, 0.5, 0.6, 200}};
    state.proposal_outcomes = {{"g7-s1", "recent_attn", "a guess", "worse"}};
    state.stop_reason = "enough";
    state.seconds = 12.5;
    state.archive = {made_member("layer_ratio", 0.75)};
    return state;
}

Json written(const RunState& state) {
    Json json;
    write_state(state, json);
    return json;
}

RunState read_state(const Json& json) { return state_from_json(JsonField(json, file)); }

/// Why a state that was changed so is refused.
std::string refusal(const std::function<void(Json&)>& change) {
    Json json = written(full_state());
    change(json);
    try {
        read_state(json);
    } catch (const Error& error) {
        return error.what();
    }
    return "";
}

} // namespace

TEST_CASE("a candidate's JSON has its fields by name, and gives the candidate back") {
    const Candidate made = full_candidate();
    const Json json = to_json(made);
    CHECK(json.at("id") == "g12-s34");
    CHECK(json.at("operator") == "hoist");
    CHECK(json.at("nodes") == 5);
    CHECK(json.at("kept_hash") == "00000000000000fe");
    CHECK(json.at("status") == "champion");
    CHECK(json.at("train").at("by_document") == Json({{0.125, 0.5}, {0.375, 1}}));
    CHECK_FALSE(json.at("valid").contains("by_document"));
    const Candidate back = read_candidate(json);
    CHECK(to_json(back) == json);
    CHECK(back.generation == 12);
    CHECK(back.slot == 34);
    CHECK(back.parents == made.parents);
    CHECK(back.op == "hoist");
    CHECK(back.hypothesis == made.hypothesis);
    CHECK(back.genome.formula() == made.genome.formula());
    CHECK(back.genome.hash() == made.genome.hash());
    CHECK(back.kept_hash == 0xfeU);
    CHECK(back.train.by_retention == made.train.by_retention);
    CHECK(back.train.average == 0.5);
    CHECK(back.train.by_document == made.train.by_document);
    CHECK(back.valid->by_retention == made.valid->by_retention);
    CHECK(back.valid->average == 0.75);
    CHECK(back.verdict->train.by_document == made.verdict->train.by_document);
    CHECK(back.verdict->valid->average == 5.5);
    CHECK(back.status == Status::champion);
    CHECK(back.reason == "beats all");
}

TEST_CASE("what a candidate has not is null, and stays so") {
    Candidate made = full_candidate();
    made.kept_hash.reset();
    made.train = {};
    made.valid.reset();
    made.verdict->valid.reset();
    made.status = Status::rejected;
    const Json json = to_json(made);
    for (const char* key : {"kept_hash", "train", "valid"}) CHECK(json.at(key).is_null());
    CHECK(json.at("verdict").at("valid").is_null());
    const Candidate back = read_candidate(json);
    CHECK_FALSE(back.kept_hash);
    CHECK(back.train.by_retention.empty());
    CHECK_FALSE(back.valid);
    CHECK(back.verdict);
    CHECK_FALSE(back.verdict->valid);
    CHECK(back.status == Status::rejected);
    made.verdict.reset();
    CHECK_FALSE(to_json(made).contains("verdict"));
    CHECK_FALSE(read_candidate(to_json(made)).verdict);
}

TEST_CASE("a parameter set stands in a candidate's JSON in place of the formula") {
    Candidate made = full_candidate();
    made.genome = test::made_parameters("snapkv@kvpress:window=48", {48, 5, 0}, 1);
    CHECK(made.genome.size() == 1);
    CHECK(made.genome.text() == "snapkv@kvpress:window=48");
    CHECK(made.genome.text_key() == std::string("scorer"));
    CHECK(made.genome.scorer_text() == "snapkv@kvpress:window=48");
    const Json json = to_json(made);
    CHECK_FALSE(json.contains("formula"));
    CHECK(json.at("nodes") == 1);
    const Candidate back = read_candidate(json);
    CHECK(back.genome.parameters()->scorer == "snapkv@kvpress:window=48");
    CHECK(back.genome.parameters()->values == std::vector<double>{48, 5, 0});
    CHECK(back.genome.parameters()->changed == 1);
    CHECK(back.genome.formula().empty());
    const Candidate formula = made_candidate("c", "recent_attn*2", 1, 1);
    CHECK(formula.genome.size() == 3);
    CHECK(formula.genome.text() == "2*recent_attn");
    CHECK(formula.genome.text_key() == std::string("formula"));
    CHECK(formula.genome.scorer_text() == "=2*recent_attn");
    CHECK(formula.genome.parameters() == nullptr);
}

TEST_CASE("statuses have names, and others are refused") {
    CHECK(to_string(Status::champion) == "champion");
    CHECK(to_string(Status::accepted) == "accepted");
    CHECK(to_string(Status::rejected) == "rejected");
    Json json = to_json(full_candidate());
    for (const Status status : {Status::champion, Status::accepted, Status::rejected}) {
        json["status"] = to_string(status);
        CHECK(read_candidate(json).status == status);
    }
    json["status"] = "adored";
    CHECK_THROWS_WITH(read_candidate(json), ContainsSubstring(file) && ContainsSubstring("status") &&
                                                ContainsSubstring("expected champion, accepted or rejected, found"));
}

TEST_CASE("hashes are hexadecimal numbers of 64 bits, all of the text") {
    Json json = to_json(full_candidate());
    const auto read = [&](const char* digits) {
        json["hash"] = digits;
        return read_candidate(json).genome;
    };
    CHECK(read("0").hash() == 0);
    CHECK(read("00000000000000ff").hash() == 255);
    CHECK(read("00000000000000ff").hash_text() == "00000000000000ff");
    CHECK(read("ffffffffffffffff").hash() == ~std::uint64_t{0});
    for (const char* wrong : {"", "g", "12g", "10000000000000000", " 1", "-1", "0x1"}) {
        json["hash"] = wrong;
        CHECK_THROWS_WITH(read_candidate(json),
                          ContainsSubstring("hash") && ContainsSubstring("is no hash of 16 hexadecimal digits"));
    }
}

TEST_CASE("a formula that cannot be read is told by its field") {
    Json json = to_json(full_candidate());
    json["formula"] = "recent_attn +";
    CHECK_THROWS_WITH(read_candidate(json), ContainsSubstring("formula") && ContainsSubstring("not a formula: "));
}

TEST_CASE("what was seen is known by hash, and by the fewest nodes that keep the same") {
    Seen seen;
    seen.add(1, std::nullopt, 3);
    CHECK(seen.hashes.contains(1));
    CHECK(seen.kept.empty());
    seen.add(2, 50, 7);
    CHECK_FALSE(seen.keeps_as(50, 6));
    CHECK(seen.keeps_as(50, 7));
    CHECK(seen.keeps_as(50, 8));
    CHECK_FALSE(seen.keeps_as(51, 8));
    seen.add(3, 50, 9);
    CHECK_FALSE(seen.keeps_as(50, 6));
    CHECK(seen.keeps_as(50, 7));
    seen.add(4, 50, 5);
    CHECK(seen.keeps_as(50, 5));
    CHECK_FALSE(seen.keeps_as(50, 4));
    CHECK(seen.hashes.size() == 4);
}

TEST_CASE("a run's state comes back from its JSON as it was, every field of it") {
    const RunState made = full_state();
    const Json json = written(made);
    CHECK(json.at("times").at("seconds") == 12.5);
    CHECK(json.at("history_columns").size() == 5);
    const RunState back = read_state(json);
    CHECK(written(back) == json);
    CHECK(back.generation == 7);
    CHECK(back.last_champion_generation == 5);
    CHECK(back.counters.candidates == 11);
    CHECK(back.counters.accepted == 12);
    CHECK(back.counters.duplicates == 13);
    CHECK(back.counters.evaluations == 14);
    CHECK(back.counters.semantic_duplicates == 15);
    CHECK(back.counters.raced_out == 16);
    CHECK(back.counters.refused == 17);
    REQUIRE(back.population.size() == 2);
    CHECK(back.population[0].id == "recent_attn");
    CHECK(back.population[0].genome.formula() == made.population[0].genome.formula());
    CHECK(back.population[0].genome.hash() == made.population[0].genome.hash());
    CHECK(back.population[0].train.average == 0.25);
    CHECK(back.population[0].accepted);
    CHECK(back.population[0].tunings == 4);
    CHECK(back.population[0].island == 1);
    CHECK(back.population[0].skeleton == made.population[0].skeleton);
    CHECK_FALSE(back.population[1].accepted);
    CHECK(test::ids_of(back.champions) == std::vector<std::string>{"first", "g12-s34"});
    REQUIRE(back.history.size() == 2);
    CHECK(back.history[1].generation == 7);
    CHECK(back.history[1].best_train == 0.4);
    CHECK(back.history[1].champion_train == 0.5);
    CHECK(back.history[1].champion_valid == 0.6);
    CHECK(back.history[1].evaluations == 200);
    REQUIRE(back.proposal_outcomes.size() == 1);
    CHECK(back.proposal_outcomes[0].id == "g7-s1");
    CHECK(back.proposal_outcomes[0].formula == "recent_attn");
    CHECK(back.proposal_outcomes[0].hypothesis == "a guess");
    CHECK(back.proposal_outcomes[0].reason == "worse");
    CHECK(back.stop_reason == "enough");
    CHECK(back.seconds == 12.5);
    CHECK(test::ids_of(back.archive) == std::vector<std::string>{"layer_ratio"});
    CHECK(back.champion().id == "g12-s34");
}

TEST_CASE("members that are parameter sets come back, and each is a structure of its own") {
    RunState state = full_state();
    state.archive.clear();
    state.population.resize(1);
    state.population[0].genome = test::made_parameters("a plugin", {1, 2}, 2);
    const RunState back = read_state(written(state));
    CHECK(back.population[0].genome.parameters()->scorer == "a plugin");
    CHECK(back.population[0].genome.parameters()->values == std::vector<double>{1, 2});
    CHECK(back.population[0].genome.size() == 2);
    CHECK(back.population[0].skeleton == 255);
}

TEST_CASE("states of earlier engines are read without what those did not know") {
    Json json = written(full_state());
    for (const char* key : {"semantic_duplicates", "raced_out", "refused"}) json["counters"].erase(key);
    json.erase("archive");
    for (Json& member : json["population"]) member.erase("island");
    const RunState back = read_state(json);
    CHECK(back.counters.semantic_duplicates == 0);
    CHECK(back.counters.raced_out == 0);
    CHECK(back.counters.refused == 0);
    CHECK(back.archive.empty());
    CHECK(back.population[0].island == 0);
}

TEST_CASE("a history of other columns is refused by the field") {
    CHECK(refusal([](Json&) {}).empty());
    CHECK_THAT(refusal([](Json& json) { json["history"][1].erase(4); }),
               ContainsSubstring("expected one value for each of history_columns"));
    CHECK_THAT(refusal([](Json& json) { json["history"][1].push_back(4); }),
               ContainsSubstring("expected one value for each of history_columns"));
}
