// Runs: the same bits for any number of threads and across any stop; limits, refusals, duplicates, and a sealed test
// split. SPDX-License-Identifier: MIT
#include <tbb/global_control.h>

#include <atomic>
#include <chrono>
#include <set>
#include <thread>

#include "evolution/run.hpp"
#include "evolution/variation/operator.hpp"
#include "framework/fitness/rescore_fitness.hpp"
#include "framework/suite/suite.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/small_runs.hpp"

using namespace evictlab;
using namespace evictlab::evolution;
using evictlab::test::bytes_of;
using evictlab::test::candidates_of;
using evictlab::test::saved_run;
using evictlab::test::TemporaryFolder;
namespace fs = std::filesystem;

namespace {

const std::vector<double> retentions{0.25, 0.5, 0.75};

const RescoreFitness& small_fitness() {
    static const Suite suite = test::small_micro();
    static const RescoreFitness fitness(suite.search_traces(), retentions);
    return fitness;
}

RunSetup small_setup(std::uint32_t generations = 5) {
    static const Suite suite = test::small_micro();
    RunSetup setup;
    setup.config.start = "hybrid_start";
    setup.config.start_formula =
        formula::parse("if(position < 4, keep, if(relative_pos < 4, 1e6 - relative_pos, 0.6*recent_attn + "
                       "0.4*cumulative_attn*((position+1)/sequence_len)^0.3 + 0.2*max(0, 1 - relative_pos/128)))");
    setup.config.seed = 3;
    setup.config.population = 30;
    setup.config.tuned = 3;
    setup.config.tuning_evaluations = 30;
    setup.identity = test::identity_on(suite);
    setup.identity.plugins = {{"h2o", "aa"}};
    setup.limits.generations = generations;
    return setup;
}

fs::path file_in(const TemporaryFolder& folder, const std::string& name) { return folder.path / name; }

fs::path journal_of(const fs::path& file) { return file.string() + ".journal"; }

RunResult run_new(const RunSetup& setup, const fs::path& file, const RunHooks& hooks = {}) {
    auto store = state::RunStore::create(file);
    return run_evolution(setup, small_fitness(), store, hooks);
}

RunResult run_on(const RunSetup& setup, const fs::path& file, const RunHooks& hooks = {}) {
    auto store = state::RunStore::resume(file);
    return run_evolution(setup, small_fitness(), store, hooks);
}

std::string error_of(const std::function<void()>& action) {
    try {
        action();
    } catch (const std::exception& error) {
        return error.what();
    }
    return "";
}

} // namespace

TEST_CASE("a run improves, and records every candidate") {
    const TemporaryFolder folder;
    const fs::path file = file_in(folder, "evolution.json");
    const RunResult result = run_new(small_setup(), file);
    CHECK_FALSE(result.stopped);
    CHECK(result.state.generation == 5);
    CHECK(result.state.stop_reason == "generations: 5 were made");
    const auto all = candidates_of(file);
    CHECK(all.size() == result.state.counters.candidates);
    std::set<std::string> hashes;
    std::set<std::string> ids;
    for (const Candidate& each : all) {
        INFO(each.id);
        CHECK(hashes.insert(each.genome.hash_text()).second);
        CHECK(each.genome.hash_text() == canonical_hash(each.genome.formula()));
        for (const auto& parent : each.parents) CHECK((ids.contains(parent) || parent.substr(0, 1) == "g"));
        ids.insert(each.id);
        CHECK_FALSE(each.hypothesis.empty());
        CHECK_FALSE(each.reason.empty());
        CHECK(each.genome.size() <= 60);
        CHECK(each.valid.has_value() == (each.status != Status::rejected));
    }
    const RunSummary summary = read_run(file);
    REQUIRE(summary.champions.size() > 1);
    for (std::size_t i = 1; i < summary.champions.size(); ++i) {
        CHECK(summary.champions[i].train.average < summary.champions[i - 1].train.average);
        CHECK(summary.champions[i].valid->average < summary.champions[i - 1].valid->average);
    }
    CHECK(summary.champion.id == summary.champions.back().id);
    CHECK(summary.retentions == retentions);
    CHECK(summary.start == "hybrid_start");
    CHECK(summary.evaluations == result.state.counters.evaluations);
}

TEST_CASE("the strategies that failed in the seed's generation 1 are tried first") {
    const TemporaryFolder folder;
    run_new(small_setup(1), file_in(folder, "evolution.json"));
    const auto all = candidates_of(file_in(folder, "evolution.json"));
    const auto openings = opening_strategies();
    for (std::size_t i = 0; i < openings.size(); ++i) {
        CHECK(all.at(i + 1).op == openings[i].name);
        CHECK(all.at(i + 1).parents == std::vector<std::string>{"g0-s0"});
        CHECK_THAT(all.at(i + 1).reason, ContainsSubstring("its parent's"));
    }
}

TEST_CASE("the same bits for 1, 2 and 7 threads, other bits for another seed") {
    const TemporaryFolder folder;
    std::set<std::string> outcomes;
    for (const std::size_t threads : {1, 2, 7}) {
        const tbb::global_control limit(tbb::global_control::max_allowed_parallelism, threads);
        const fs::path file = file_in(folder, std::to_string(threads) + ".json");
        run_new(small_setup(), file);
        outcomes.insert(saved_run(file));
    }
    CHECK(outcomes.size() == 1);
    RunSetup other = small_setup();
    other.config.seed = 4;
    run_new(other, file_in(folder, "other.json"));
    CHECK(bytes_of(journal_of(file_in(folder, "other.json"))) != bytes_of(journal_of(file_in(folder, "1.json"))));
}

TEST_CASE("stopped after any generation and resumed, a run gives the bits of one that never was") {
    const TemporaryFolder folder;
    run_new(small_setup(), file_in(folder, "whole.json"));
    const std::string whole = saved_run(file_in(folder, "whole.json"));
    for (std::uint32_t stop = 0; stop <= 5; ++stop) {
        const fs::path file = file_in(folder, std::to_string(stop) + ".json");
        run_new(small_setup(stop), file);
        run_on(small_setup(), file);
        CHECK(saved_run(file) == whole);
    }
}

TEST_CASE("stopped in the middle of generations and resumed, a run gives the same bits") {
    const TemporaryFolder folder;
    run_new(small_setup(), file_in(folder, "whole.json"));
    const fs::path file = file_in(folder, "evolution.json");
    int stops = 0;
    for (double delay = 2;; delay *= 1.2) { // milliseconds: as many as this machine needs
        std::atomic<bool> stop{false};
        std::thread stopper([&] {
            std::this_thread::sleep_for(std::chrono::duration<double, std::milli>(delay));
            stop = true;
        });
        const RunHooks hooks{{}, &stop};
        RunResult result;
        if (fs::exists(file))
            result = run_on(small_setup(), file, hooks);
        else
            result = run_new(small_setup(), file, hooks);
        stopper.join();
        if (!result.stopped) break;
        ++stops;
    }
    CHECK(stops > 1);
    CHECK(saved_run(file) == saved_run(file_in(folder, "whole.json")));
}

TEST_CASE("a run that has reached its limit does nothing when resumed, and goes on under a higher one") {
    const TemporaryFolder folder;
    const fs::path file = file_in(folder, "evolution.json");
    run_new(small_setup(2), file);
    const std::string before = bytes_of(file);
    run_on(small_setup(2), file);
    CHECK(bytes_of(file) == before);
    CHECK(run_on(small_setup(3), file).state.generation == 3);
}

TEST_CASE("each limit stops the run and says so") {
    const TemporaryFolder folder;
    const fs::path file = file_in(folder, "evolution.json");
    RunSetup setup = small_setup(1000);
    setup.limits.generations.reset();
    SECTION("evaluations") {
        setup.limits.evaluations = 100;
        const RunResult result = run_new(setup, file);
        CHECK(result.state.counters.evaluations >= 100);
        CHECK(result.state.generation == 1);
        CHECK_THAT(result.state.stop_reason, ContainsSubstring("evaluations:"));
    }
    SECTION("target") {
        setup.limits.target = 0.9;
        const RunResult result = run_new(setup, file);
        CHECK(result.state.generation == 0);
        CHECK_THAT(result.state.stop_reason, ContainsSubstring("target: the champion's valid error"));
    }
    SECTION("patience") {
        setup.limits.patience = 2;
        const RunResult result = run_new(setup, file);
        CHECK(result.state.generation == result.state.last_champion_generation + 2);
        CHECK_THAT(result.state.stop_reason, ContainsSubstring("patience: no new champion in 2 generations"));
    }
    SECTION("seconds") {
        setup.limits.seconds = 0.2;
        const RunResult result = run_new(setup, file);
        CHECK_FALSE(result.stopped);
        CHECK_THAT(result.state.stop_reason, ContainsSubstring("seconds: 0.2 have passed")); // slow builds: and no more
        CHECK(read_run(file).stop_reason == result.state.stop_reason);
    }
}

TEST_CASE("progress is told after each generation") {
    const TemporaryFolder folder;
    std::vector<RunProgress> told;
    RunHooks hooks;
    hooks.on_generation = [&](const RunProgress& progress) { told.push_back(progress); };
    run_new(small_setup(4), file_in(folder, "evolution.json"), hooks);
    REQUIRE(told.size() == 5);
    CHECK(told[2].generation == 2);
    CHECK(told[2].fraction == Approx(0.5));
    CHECK(told[4].fraction == Approx(1));
    CHECK(told[0].new_champion);
    CHECK_NOTHROW(formula::parse(told[4].champion));
    CHECK(told[4].evaluations > told[3].evaluations);
}

TEST_CASE("a resumed run must agree in everything but its limits") {
    const TemporaryFolder folder;
    const fs::path file = file_in(folder, "evolution.json");
    run_new(small_setup(1), file);
    const std::string before = saved_run(file);
    RunSetup other = small_setup(2);
    std::string named;
    SECTION("suite") { other.identity.suite_hash = "sha256:other", named = "suite/hash"; }
    SECTION("seed") { other.config.seed = 8, named = "config/seed is 3 in the saved run, but 8 now"; }
    SECTION("population") { other.config.population = 31, named = "config/population"; }
    SECTION("columns") { other.config.columns.pop_back(), named = "config/columns"; }
    SECTION("start") { other.config.start_formula = formula::parse("recent_attn"), named = "config/start_formula"; }
    SECTION("build") { other.identity.build = "later", named = "build/evictlab"; }
    SECTION("a long build") { other.identity.build = std::string(5000, 'b'), named = "bbb..."; }
    SECTION("plugin") { other.identity.plugins["h2o"] = "bb", named = "plugins/h2o"; }
    SECTION("plugin gone") { other.identity.plugins.clear(), named = "plugins/h2o"; }
    const std::string message = error_of([&] { run_on(other, file); });
    CHECK_THAT(message, ContainsSubstring(named));
    CHECK_THAT(message, ContainsSubstring("cannot resume"));
    CHECK(message.size() < 1500);
    CHECK_THAT(message, ContainsSubstring("start a new run in another state file"));
    CHECK(saved_run(file) == before);
}

TEST_CASE("what a saved run was made with can be read back") {
    const TemporaryFolder folder;
    run_new(small_setup(1), file_in(folder, "evolution.json"));
    const std::string file = file_in(folder, "evolution.json");
    const Json content = state::read_state(file);
    const RunSetup setup = saved_setup(JsonField(content, file));
    CHECK(to_json(setup, retentions) == to_json(small_setup(1), retentions));
}

TEST_CASE("a saved run that another program wrote is refused with the field that is wrong") {
    const TemporaryFolder folder;
    run_new(small_setup(1), file_in(folder, "evolution.json"));
    const fs::path file = file_in(folder, "changed.json");
    Json content = state::read_state(file_in(folder, "evolution.json"));
    std::string wrong;
    SECTION("missing") {
        content["counters"].erase("evaluations");
        wrong = "changed.json: counters: the field \"evaluations\" is missing";
    }
    SECTION("of another type") {
        content["champions"][0]["train"]["average"] = "low";
        wrong = "changed.json: champions[0].train.average: expected a number, found \"low\"";
    }
    SECTION("too large") {
        content["generation"] = std::uint64_t{1} << 40;
        wrong = "changed.json: generation: expected a whole number up to 4294967295, found 1099511627776";
    }
    SECTION("no formula") {
        content["population"][1]["formula"] = "recent_attn +";
        wrong = "changed.json: population[1].formula: not a formula: ";
    }
    SECTION("no status") {
        content["champions"][0]["status"] = "best";
        wrong = "changed.json: champions[0].status: expected champion, accepted or rejected, found \"best\"";
    }
    state::RunStore::create(file).save(content, {});
    CHECK_THAT(error_of([&] { read_run(file); }), ContainsSubstring(wrong));
}

TEST_CASE("setups that no run can be made of are refused") {
    RunSetup setup = small_setup();
    setup.config.population = 1;
    CHECK_THAT(error_of([&] { check_setup(setup); }), ContainsSubstring("population is 1"));
    setup = small_setup();
    setup.limits.seconds = 0;
    CHECK_THAT(error_of([&] { check_setup(setup); }), ContainsSubstring("max_seconds must be above 0"));
    setup = small_setup();
    setup.config.max_nodes = 5;
    CHECK_THAT(error_of([&] { check_setup(setup); }), ContainsSubstring("nodes"));
}

TEST_CASE("duplicates are counted and not measured again, also after a resume") {
    const TemporaryFolder folder;
    RunSetup setup = small_setup(6);
    setup.config.start = "recent_attn";
    setup.config.start_formula = formula::parse("recent_attn");
    setup.config.max_nodes = 5; // so small that most of what is made was made before
    setup.config.columns = {"recent_attn", "position"};
    const fs::path file = file_in(folder, "evolution.json");
    setup.limits.generations = 3;
    const auto first = run_new(setup, file).state.counters;
    CHECK(first.duplicates > 0);
    setup.limits.generations = 6;
    const auto later = run_on(setup, file).state.counters;
    CHECK(later.duplicates > first.duplicates);
    std::set<std::string> hashes;
    for (const Candidate& each : candidates_of(file)) CHECK(hashes.insert(each.genome.hash_text()).second);
    CHECK(hashes.size() == later.candidates);
}

TEST_CASE("another test split changes nothing in a run") {
    const TemporaryFolder folder;
    std::vector<std::string> journals;
    std::set<std::string> suites;
    for (const std::uint64_t offset : {0, 500}) {
        const Suite suite = test::small_micro(offset);
        suites.insert(suite.hash());
        const RescoreFitness fitness(suite.search_traces(), retentions);
        const fs::path file = file_in(folder, std::to_string(offset) + ".json");
        auto store = state::RunStore::create(file);
        run_evolution(small_setup(), fitness, store);
        journals.push_back(saved_run(file));
    }
    CHECK(suites.size() == 2);
    CHECK(journals[0] == journals[1]);
}
