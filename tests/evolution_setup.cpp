// What a run is made of: settings that no run can have, at and beyond each bound; a setup in a state and back; what a
// resumed run must agree in; and what counters and limits say. SPDX-License-Identifier: MIT
#include "evolution/setup.hpp"

#include <functional>

#include "evolution/run_figures.hpp"
#include "evolution/tuning.hpp"
#include "evolution/variation/operator.hpp"
#include "framework/plugin/host.hpp"
#include "tests/support/catch.hpp"

using namespace evictlab;
using namespace evictlab::evolution;

namespace {

const std::vector<double> retentions{0.25, 0.5};

RunSetup good_setup() {
    RunSetup setup;
    setup.config.start = "by hand";
    setup.config.start_formula = formula::parse("recent_attn + 2*key_norm");
    setup.identity.suite_parameters_json = "{}";
    return setup;
}

/// Why a setup with this change is refused; "" where it is not.
std::string refusal(const std::function<void(RunSetup&)>& change) {
    RunSetup setup = good_setup();
    change(setup);
    try {
        check_setup(setup);
    } catch (const UsageError& error) {
        return error.what();
    }
    return "";
}

/// No two values alike, none a default.
RunSetup full_setup() {
    RunSetup setup = good_setup();
    RunConfig& config = setup.config;
    config.seed = 0x123456789abcdef0;
    config.population = 401;
    config.max_nodes = 61;
    config.node_price = 1.5e-5;
    config.tuned = 9;
    config.tuning_evaluations = 201;
    config.query_stride = 2;
    config.asked_of_model = 3;
    config.verdict_tuning = 4;
    config.proposals = 5;
    config.parents = ParentSelection::lexicase;
    config.islands = 6;
    config.migration = 7;
    config.archive = 0.125;
    config.semantic_duplicates = true;
    config.race = false;
    config.columns = {"recent_attn", "window_attn:16"};
    RunIdentity& id = setup.identity;
    id.suite = "a suite";
    id.suite_hash = "sha256:aa";
    id.suite_parameters_json = R"({"name":"a suite","n":3})";
    id.measure = "output_error";
    id.more_suites = {{"another", "sha256:bb", R"({"n":4})", "attention_loss", {std::vector{0.1}, std::vector{0.2}}},
                      {"third", "sha256:dd", R"({})", "output_error", {}}};
    id.reference = {std::vector{0.3, 0.4}, std::vector{0.5, 0.6}};
    id.judge_command = "a judge";
    id.proposer_command = "a proposer";
    id.judge_timeout = 11;
    id.proposer_timeout = 12;
    id.build = "1.2.3";
    id.plugins = {{"h2o", "cc"}, {"snapkv", "dd"}};
    id.command = "evictlab evolve";
    setup.limits = {21, 22, 23.5, 0.24, 25};
    return setup;
}

RunSetup read_back(const Json& json) {
    static const std::string name = "a file";
    return saved_setup(JsonField(json, name));
}

} // namespace

TEST_CASE("settings are refused beyond their bounds, and taken at them") {
    CHECK(refusal([](RunSetup&) {}).empty());
    const auto population = [](std::uint32_t people, std::uint32_t islands) {
        return refusal([=](RunSetup& s) { s.config.population = people, s.config.islands = islands; });
    };
    CHECK(population(2, 1).empty());
    CHECK(population(1, 1) == "population is 1, but must be from 2 to 1000000");
    CHECK_FALSE(population(0, 1).empty());
    CHECK(population(6, 3).empty());
    CHECK(population(7, 3).empty());
    CHECK(population(5, 3) ==
          "islands is 3, but must be from 1 to 2 for a population of 5: an island has at least 2 formulas");
    CHECK(population(6, 0) == "islands is 0, but must be from 1 to 1000000");
    CHECK_FALSE(population(6, 0x80000003U).empty()); // twice of which overflows
    CHECK(refusal([](RunSetup& s) { s.config.migration = 1; }).empty());
    CHECK(refusal([](RunSetup& s) { s.config.migration = 0; }) == "migration is 0, but must be from 1 to 4294967295");
    for (const double archive : {0.0, 0.5, 0.999})
        CHECK(refusal([=](RunSetup& s) { s.config.archive = archive; }).empty());
    for (const double archive : {-0.001, 1.0, 1.5, std::numeric_limits<double>::quiet_NaN()})
        CHECK_THAT(refusal([=](RunSetup& s) { s.config.archive = archive; }),
                   ContainsSubstring("archive is ") && ContainsSubstring("must be from 0 to below 1"));
    CHECK(refusal([](RunSetup& s) { s.config.columns.clear(); }) == "a run needs at least one column to search with");
    CHECK(refusal([](RunSetup& s) { s.config.start_formula = {}; }) ==
          "start is missing: a run needs a formula to start from");
    const auto nodes = static_cast<std::uint32_t>(good_setup().config.start_formula.size());
    CHECK(refusal([=](RunSetup& s) { s.config.max_nodes = nodes; }).empty());
    CHECK(refusal([=](RunSetup& s) { s.config.max_nodes = nodes - 1; }) ==
          "the start formula has 5 nodes, more than the 4 that a candidate may have");
    CHECK(refusal([](RunSetup& s) { s.limits.seconds = 1e-9; }).empty());
    for (const double seconds : {0.0, -1.0, std::numeric_limits<double>::quiet_NaN()})
        CHECK(refusal([=](RunSetup& s) { s.limits.seconds = seconds; }) == "max_seconds must be above 0");
}

TEST_CASE("what is of formulas alone cannot be asked of a run that tunes a plugin") {
    PluginHost host(std::vector<std::filesystem::path>{EVICTLAB_PLUGIN_FOLDER});
    const auto space = std::make_shared<const ParameterSpace>(make_scorer("snapkv@kvpress", host));
    const auto tuning = [&](const std::function<void(RunConfig&)>& change) {
        return refusal([&](RunSetup& s) {
            s.config.tunes = true;
            s.config.space = space;
            s.config.start_formula = {};
            change(s.config);
        });
    };
    CHECK(tuning([](RunConfig&) {}).empty());
    CHECK(tuning([](RunConfig& c) { c.space = nullptr; }) == "a run that tunes a plugin needs its parameters");
    const auto unfit = [](const std::string& option) {
        return option + " is for evolving formulas: leave it away where a plugin is tuned";
    };
    CHECK(tuning([](RunConfig& c) { c.archive = 0.1; }) == unfit("archive"));
    CHECK(tuning([](RunConfig& c) { c.semantic_duplicates = true; }) == unfit("semantic_duplicates"));
    CHECK(tuning([](RunConfig& c) { c.race = true; }) == unfit("race"));
    CHECK(tuning([](RunConfig& c) { c.query_stride = 2; }) == unfit("query_stride"));
    CHECK(tuning([](RunConfig& c) { c.query_stride = 0; }) == unfit("query_stride"));
    CHECK(tuning([](RunConfig& c) { c.proposals = 1; }) == unfit("proposals"));
    CHECK_FALSE(tuning([](RunConfig& c) { c.population = 1; }).empty()); // all else is as ever
}

TEST_CASE("a setup comes back from its JSON as it was, every field of it") {
    const RunSetup made = full_setup();
    const Json json = to_json(made, retentions);
    CHECK(json.at("retentions") == Json({0.25, 0.5}));
    CHECK(json.at("build").at("evictlab") == "1.2.3");
    CHECK(json.at("build").at("engine") == engine_version);
    CHECK(json.at("build").at("operators") == operators_version);
    const RunSetup back = read_back(json);
    CHECK(to_json(back, retentions) == json);
    const RunConfig &a = made.config, &b = back.config;
    CHECK(b.seed == a.seed);
    CHECK(b.start == a.start);
    CHECK(b.start_formula == a.start_formula);
    CHECK_FALSE(b.tunes);
    CHECK(b.population == 401);
    CHECK(b.max_nodes == 61);
    CHECK(b.node_price == 1.5e-5);
    CHECK(b.tuned == 9);
    CHECK(b.tuning_evaluations == 201);
    CHECK(b.query_stride == 2);
    CHECK(b.asked_of_model == 3);
    CHECK(b.verdict_tuning == 4);
    CHECK(b.proposals == 5);
    CHECK(b.parents == ParentSelection::lexicase);
    CHECK(b.islands == 6);
    CHECK(b.migration == 7);
    CHECK(b.archive == 0.125);
    CHECK(b.semantic_duplicates);
    CHECK_FALSE(b.race);
    CHECK(b.columns == a.columns);
    const RunIdentity& id = back.identity;
    CHECK(id.suite == "a suite");
    CHECK(id.suite_hash == "sha256:aa");
    CHECK(Json::parse(id.suite_parameters_json) == Json::parse(made.identity.suite_parameters_json));
    CHECK(id.measure == "output_error");
    CHECK(id.reference == made.identity.reference);
    REQUIRE(id.more_suites.size() == 2);
    CHECK(id.more_suites[0].name == "another");
    CHECK(id.more_suites[0].hash == "sha256:bb");
    CHECK(id.more_suites[0].measure == "attention_loss");
    CHECK(id.more_suites[0].reference == made.identity.more_suites[0].reference);
    CHECK(id.more_suites[1].reference[0].empty());
    CHECK(id.judge_command == "a judge");
    CHECK(id.proposer_command == "a proposer");
    CHECK(id.judge_timeout == 11);
    CHECK(id.proposer_timeout == 12);
    CHECK(id.build == "1.2.3");
    CHECK(id.plugins == made.identity.plugins);
    CHECK(id.command == "evictlab evolve");
    CHECK(back.limits.generations == 21U);
    CHECK(back.limits.evaluations == 22U);
    CHECK(back.limits.seconds == 23.5);
    CHECK(back.limits.target == 0.24);
    CHECK(back.limits.patience == 25U);

    RunSetup none = full_setup();
    none.limits = {};
    none.config.parents = ParentSelection::tournament;
    none.config.race = true;
    none.config.semantic_duplicates = false;
    const RunSetup without = read_back(to_json(none, retentions));
    CHECK_FALSE(without.limits.generations);
    CHECK_FALSE(without.limits.evaluations);
    CHECK_FALSE(without.limits.seconds);
    CHECK_FALSE(without.limits.target);
    CHECK_FALSE(without.limits.patience);
    CHECK(without.config.parents == ParentSelection::tournament);
    CHECK(without.config.race);
    CHECK_FALSE(without.config.semantic_duplicates);
    RunSetup tuning = full_setup();
    tuning.config.tunes = true;
    const Json tuned = to_json(tuning, retentions);
    CHECK_FALSE(tuned.at("config").contains("start_formula"));
    CHECK(read_back(tuned).config.tunes);
    CHECK(read_back(tuned).config.start_formula.empty());
}

TEST_CASE("a shape is kept with a setup, a usual one leaves states as they were, and a run keeps its own") {
    RunSetup made = full_setup();
    const Json usual = to_json(made, retentions);
    CHECK_FALSE(usual.contains("shape"));
    made.identity.shape.granularity = Granularity::model;
    made.identity.shape.block = 16;
    const Json json = to_json(made, retentions);
    CHECK(read_back(json).identity.shape == made.identity.shape);
    CHECK_NOTHROW(check_resumable(json, made, retentions));
    CHECK_THROWS_WITH(
        check_resumable(usual, made, retentions),
        ContainsSubstring("the shape is \"a set for each KV head\" in the saved run, but \"one set for all "
                          "layers and heads"));
    CHECK_THROWS_WITH(check_resumable(json, full_setup(), retentions), ContainsSubstring("cannot resume: the shape"));
}

TEST_CASE("numbers of tokens are kept with a setup, and a run keeps its own") {
    RunSetup made = full_setup();
    const Json shares = to_json(made, retentions);
    CHECK_FALSE(shares.contains("keep"));
    made.identity.keep = {256, 512};
    const Json json = to_json(made, retentions);
    CHECK(read_back(json).identity.keep == made.identity.keep);
    CHECK_NOTHROW(check_resumable(json, made, retentions));
    CHECK_THROWS_WITH(check_resumable(shares, made, retentions),
                      ContainsSubstring("the tokens that are kept are no numbers in the saved run, but [256,512] now"));
    CHECK_THROWS_WITH(check_resumable(json, full_setup(), retentions), ContainsSubstring("leave its budgets away"));
}

TEST_CASE("states of earlier engines are read as what those did") {
    Json json = to_json(full_setup(), retentions);
    for (const char* key :
         {"parents", "islands", "migration", "archive", "semantic_duplicates", "race", "verdict_tuning"})
        json["config"].erase(key);
    json["outside"].erase("judge_timeout");
    json["outside"].erase("proposer_timeout");
    const RunSetup back = read_back(json);
    CHECK(back.config.parents == ParentSelection::tournament);
    CHECK(back.config.islands == 1);
    CHECK(back.config.migration == RunConfig{}.migration);
    CHECK(back.config.archive == 0);
    CHECK_FALSE(back.config.semantic_duplicates);
    CHECK_FALSE(back.config.race);
    CHECK(back.config.verdict_tuning == 0);
    CHECK(back.config.columns.size() == 2);
    CHECK(back.identity.judge_timeout == 300);
    CHECK(back.identity.proposer_timeout == 120);
    json["config"]["parents"] = "roulette";
    CHECK_THROWS_WITH(read_back(json), ContainsSubstring("config") &&
                                           ContainsSubstring("expected tournament or lexicase, found \"roulette\""));
}

TEST_CASE("defaults of a run are the published ones") {
    const RunConfig config;
    CHECK(config.seed == 1);
    CHECK(config.population == 400);
    CHECK(config.query_stride == 1);
    CHECK(config.asked_of_model == 0);
    CHECK(config.verdict_tuning == 0);
    CHECK(config.proposals == 0);
    CHECK_FALSE(config.semantic_duplicates);
    CHECK_FALSE(config.race);
    CHECK_FALSE(config.tunes);
    CHECK(config.columns.size() == 10);
    CHECK(TuningOptions{}.evaluations == 500);
    CHECK(TuningOptions{}.step == 0.15);
    CHECK(config.max_nodes == 60);
    CHECK(config.node_price == 2.5e-5);
    CHECK(config.tuned == 8);
    CHECK(config.tuning_evaluations == 200);
    CHECK(config.islands == 1);
    CHECK(config.migration == 10);
    CHECK(config.archive == 0);
    CHECK(config.parents == ParentSelection::tournament);
    CHECK(to_string(ParentSelection::tournament) == "tournament");
    CHECK(to_string(ParentSelection::lexicase) == "lexicase");
}

TEST_CASE("a resumed run must agree in each part, and the message says what to do about it") {
    const RunSetup made = full_setup();
    const Json saved = to_json(made, retentions);
    CHECK_NOTHROW(check_resumable(saved, made, retentions));
    const auto refused = [&](const std::function<void(RunSetup&)>& change) -> std::string {
        RunSetup other = full_setup();
        change(other);
        try {
            check_resumable(saved, other, retentions);
        } catch (const Error& error) {
            return error.what();
        }
        return "";
    };
    CHECK(refused([](RunSetup& s) { s.config.seed = 5; }) ==
          "cannot resume: config/seed is 1311768467463790320 in the saved run, but 5 now; leave the option away: a "
          "resumed run keeps its own, or start a new run in another state file");
    CHECK_THAT(refused([](RunSetup& s) { s.identity.suite = "other"; }),
               ContainsSubstring("suite/name is \"a suite\"") &&
                   ContainsSubstring("give the suite and sizes that the run was started with"));
    CHECK_THAT(refused([](RunSetup& s) { s.identity.more_suites[0].measure = "other"; }),
               ContainsSubstring("more_suites/0/measure") &&
                   ContainsSubstring("give the suite and sizes that the run was started with"));
    CHECK_THAT(refused([](RunSetup& s) { s.identity.reference[1][0] = 9; }),
               ContainsSubstring("suite/reference/valid/0"));
    CHECK_THAT(refused([](RunSetup& s) { s.identity.build = "2"; }),
               ContainsSubstring("resume with the evictlab that made the run"));
    CHECK_THAT(refused([](RunSetup& s) { s.identity.plugins.erase("h2o"); }),
               ContainsSubstring("plugins/h2o is \"cc\" in the saved run, but \"nothing\" now") &&
                   ContainsSubstring("put the plugin's former build back"));
    // What may differ: limits, commands, timeouts, the command that repeats the run, a plugin more, the suite's folder.
    CHECK(refused([](RunSetup& s) {
              s.limits = {};
              s.identity.judge_command = s.identity.proposer_command = s.identity.command = "other";
              s.identity.judge_timeout = s.identity.proposer_timeout = 1;
              s.identity.plugins["tova"] = "ee";
          }).empty());
    RunSetup here = full_setup(), there = full_setup();
    here.identity.suite_parameters_json = R"({"name":"a suite","folder":"/here"})";
    there.identity.suite_parameters_json = R"({"name":"a suite","folder":"/there"})";
    CHECK_NOTHROW(check_resumable(to_json(here, retentions), there, retentions));
    const std::vector<double> other{0.25, 0.75};
    CHECK_THROWS_WITH(check_resumable(saved, made, other),
                      ContainsSubstring("retentions/1 is 0.5 in the saved run, but 0.75 now; give the retentions"));
    Json broken = saved;
    broken.erase("build");
    CHECK_THROWS_WITH(check_resumable(broken, made, retentions),
                      ContainsSubstring("the state is not that of an evolution run: no 'build'"));
}

TEST_CASE("a run may read its columns and those of its start, each once") {
    RunConfig config;
    config.columns = {"recent_attn", "key_norm"};
    config.start_formula = formula::parse("key_norm + position*position");
    std::vector<std::string> names;
    for (const ColumnId id : config.readable()) names.push_back(columns::name(id));
    CHECK(names == std::vector<std::string>{"recent_attn", "key_norm", "position"});
}

TEST_CASE("shares are of what was made, or of the candidates") {
    Counters counters;
    counters.candidates = 50;
    counters.duplicates = 30;
    counters.semantic_duplicates = 20;
    counters.raced_out = 25;
    counters.refused = 5;
    const Shares shares = shares_of(counters);
    CHECK(shares.duplicates == 0.3);
    CHECK(shares.semantic_duplicates == 0.2);
    CHECK(shares.raced_out == 0.5);
    CHECK(shares.refused == 0.1);
    const Shares none = shares_of({});
    CHECK(none.duplicates == 0);
    CHECK(none.raced_out == 0);
}

TEST_CASE("the time that is left is that to the nearest limit") {
    RunLimits limits;
    RunState state;
    state.generation = 30;
    state.counters.evaluations = 600;
    const Pace pace{20, 10, 400}; // two seconds a generation, a twentieth of one an evaluation
    CHECK_FALSE(seconds_left(limits, state, pace, 20));
    limits.target = 0.1;
    limits.patience = 3;
    CHECK_FALSE(seconds_left(limits, state, pace, 20));
    limits.generations = 40;
    CHECK(seconds_left(limits, state, pace, 20) == 20.0);
    limits.evaluations = 800;
    CHECK(seconds_left(limits, state, pace, 20) == 10.0);
    limits.seconds = 25;
    CHECK(seconds_left(limits, state, pace, 20) == 5.0);
    CHECK(seconds_left(limits, state, pace, 30) == 0.0); // never below
    limits.seconds = 1000;
    limits.evaluations = 600;
    CHECK(seconds_left(limits, state, pace, 20) == 0.0);
    limits.evaluations = 100;
    CHECK(seconds_left(limits, state, pace, 20) == 0.0);
    limits.evaluations.reset();
    limits.generations = 31;
    CHECK(seconds_left(limits, state, pace, 20) == 2.0);
    CHECK(seconds_left(limits, state, {0, 0, 0}, 20) == 980.0); // no pace yet: what the clock says
    limits.seconds.reset();
    CHECK_FALSE(seconds_left(limits, state, {0, 0, 0}, 20));
    limits.generations = 30;
    CHECK(seconds_left(limits, state, {0, 0, 0}, 20) == 0.0);
}
