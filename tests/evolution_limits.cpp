// When a run stops, at and beside each limit, and what is told of it, on a fitness that is a rule.
// SPDX-License-Identifier: MIT
#include <atomic>
#include <cmath>
#include <set>

#include "evolution/run.hpp"
#include "framework/plugin/host.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/made_search.hpp"
#include "tests/support/small_runs.hpp"

using namespace evictlab;
using namespace evictlab::evolution;
using test::made_error;
using test::MadeFitness;
using test::TemporaryFolder;
namespace fs = std::filesystem;

namespace {

RunSetup made_setup() {
    RunSetup setup;
    setup.config.start = "by hand";
    setup.config.start_formula = formula::parse("0.5*recent_attn + 0.25*cumulative_attn"); // 1
    setup.config.seed = 2;
    setup.config.population = 10;
    setup.config.tuned = 1;
    setup.config.tuning_evaluations = 12;
    setup.identity.suite = "made";
    setup.identity.suite_parameters_json = "{}";
    setup.identity.build = "test";
    setup.identity.command = "a command";
    return setup;
}

/// The farther from 1 the better, up to 3: there are champions to be found for some generations.
MadeFitness made_fitness() { return MadeFitness::to_goal(3); }

RunResult run(const RunSetup& setup, const Fitness& fitness, const fs::path& file, const RunHooks& hooks = {}) {
    auto store = test::store_in(file);
    return run_evolution(setup, fitness, store, hooks);
}

} // namespace

TEST_CASE("a run makes as many generations as it may, not one more, and none where they were made") {
    const TemporaryFolder folder;
    RunSetup setup = made_setup();
    setup.limits.generations = 0;
    RunResult result = run(setup, made_fitness(), folder / "run.json");
    CHECK(result.state.generation == 0);
    CHECK(result.state.stop_reason == "generations: 0 were made");
    setup.limits.generations = 3;
    result = run(setup, made_fitness(), folder / "run.json");
    CHECK(result.state.generation == 3);
    CHECK(result.state.stop_reason == "generations: 3 were made");
    CHECK_FALSE(result.stopped);
    CHECK(result.lost.empty());
    const auto evaluations = result.state.counters.evaluations;
    result = run(setup, made_fitness(), folder / "run.json");
    CHECK(result.state.generation == 3);
    CHECK(result.state.counters.evaluations == evaluations);
    setup.limits.generations = 2; // fewer than there are
    CHECK(run(setup, made_fitness(), folder / "run.json").state.generation == 3);
}

TEST_CASE("evaluations and the target are limits that are reached at their very value") {
    const TemporaryFolder folder;
    RunSetup setup = made_setup();
    setup.limits.generations = 4;
    const RunState whole = run(setup, made_fitness(), folder / "whole.json").state;
    std::vector<std::uint64_t> counts;
    for (const HistoryLine& line : whole.history) counts.push_back(line.evaluations);
    setup.limits.generations.reset();
    const auto stops_at = [&](const char* name) {
        const RunState state = run(setup, made_fitness(), folder / name).state;
        return std::pair(state.generation, state.stop_reason);
    };
    setup.limits.evaluations = counts[2];
    CHECK(stops_at("at") == std::pair(2U, "evaluations: " + std::to_string(counts[2]) + " of at least " +
                                              std::to_string(counts[2]) + " were made"));
    setup.limits.evaluations = counts[2] + 1;
    CHECK(stops_at("above").first == 3);
    setup.limits.evaluations = counts[2] - 1;
    CHECK(stops_at("below").first == 2);
    setup.limits.evaluations.reset();

    std::size_t better = 1; // the first generation whose champion is better on valid than the start
    while (better < whole.history.size() && whole.history[better].champion_valid >= whole.history[0].champion_valid)
        ++better;
    REQUIRE(better < whole.history.size());
    setup.limits.target = whole.history[better].champion_valid;
    setup.limits.generations = 9;
    const auto [generation, reason] = stops_at("target");
    CHECK(generation == better);
    CHECK_THAT(reason, ContainsSubstring("target: the champion's valid error ") && ContainsSubstring(" is at most "));
    setup.limits.target = whole.history[0].champion_valid;
    CHECK(stops_at("start").first == 0);
    setup.limits.target = std::nextafter(whole.history[0].champion_valid, 0);
    CHECK(stops_at("just below").first == better);
}

TEST_CASE("patience ends after so many generations without a new champion") {
    const TemporaryFolder folder;
    const MadeFitness flat([](SearchSplit, double) { return made_error(1); }); // nobody is better
    RunSetup setup = made_setup();
    setup.limits.patience = 2;
    const RunState state = run(setup, flat, folder / "run.json").state;
    CHECK(state.generation == 2);
    CHECK(state.stop_reason == "patience: no new champion in 2 generations");
    CHECK(state.last_champion_generation == 0);
    setup.limits.patience = 3;
    CHECK(run(setup, flat, folder / "run.json").state.generation == 3);
    setup.limits.patience = 1;
    const RunState found = run(setup, made_fitness(), folder / "other.json").state;
    CHECK(found.generation == found.last_champion_generation + 1);
    CHECK(found.generation > 1);
}

TEST_CASE("a run on a plugin's settings ends when there are no more") {
    const TemporaryFolder folder;
    PluginHost host(std::vector<fs::path>{EVICTLAB_PLUGIN_FOLDER});
    RunSetup setup = made_setup();
    setup.config.space = std::make_shared<const ParameterSpace>(make_scorer("snapkv@kvpress", host));
    setup.config.start = setup.config.space->text(setup.config.space->start());
    setup.config.start_formula = {};
    setup.config.tunes = true;
    setup.limits.generations = 2;
    const RunState state = run(setup, MadeFitness::to_goal(0), folder / "run.json").state;
    CHECK(state.stop_reason == "generations: 2 were made"); // there are 2,088,960 of them
    CHECK(state.champion().genome.parameters());
}

TEST_CASE("time is over at once where a second's part is all there is, and the reason says what to do") {
    const TemporaryFolder folder;
    RunSetup setup = made_setup();
    setup.limits.seconds = 1e-9;
    RunResult result = run(setup, made_fitness(), folder / "run.json");
    CHECK(result.state.generation == 0);
    CHECK_FALSE(result.stopped);
    CHECK(result.state.stop_reason == "seconds: 1e-09 have passed, before a generation was finished: give more");
    setup.limits.seconds = 1e300; // and years are no limit
    setup.limits.generations = 1;
    CHECK(run(setup, made_fitness(), folder / "run.json").state.stop_reason == "generations: 1 were made");
    setup.limits.seconds = 1e-9;
    setup.limits.generations = 1;
    result = run(setup, made_fitness(), folder / "run.json"); // there is nothing to do
    CHECK(result.state.stop_reason == "generations: 1 were made");
}

TEST_CASE("a stop abandons the generation in flight, and says nothing of a limit") {
    const TemporaryFolder folder;
    RunSetup setup = made_setup();
    setup.limits.generations = 5;
    std::atomic<bool> stop = false;
    RunHooks hooks;
    hooks.stop = &stop;
    hooks.on_generation = [&](const RunProgress& progress) { stop = progress.generation == 2; };
    const RunResult result = run(setup, made_fitness(), folder / "run.json", hooks);
    CHECK(result.stopped);
    CHECK(result.state.generation == 2);
    CHECK(result.state.stop_reason.empty());
    CHECK(read_run(folder / "run.json").stop_reason.empty());
    CHECK(read_run(folder / "run.json").generation == 2);
}

TEST_CASE("progress is what the state says, from the generation that a run goes on from") {
    const TemporaryFolder folder;
    const fs::path file = folder / "run.json";
    RunSetup setup = made_setup();
    setup.config.archive = 0.1;
    setup.limits.generations = 2;
    std::vector<RunProgress> told;
    std::vector<std::size_t> lines;
    RunHooks hooks;
    hooks.on_generation = [&](const RunProgress& progress) {
        lines.push_back(progress.history.size());
        told.push_back(progress);
        told.back().history = {};
    };
    run(setup, made_fitness(), file, hooks);
    REQUIRE(told.size() == 3);
    CHECK(lines == std::vector<std::size_t>{1, 2, 3});
    CHECK(told[0].new_champion);
    CHECK(told[0].fraction == Approx(0).margin(1e-9)); // no pace yet
    CHECK(told[1].fraction == Approx(0.5));
    CHECK(told[2].fraction == Approx(1));
    for (const RunProgress& each : told) // of a new run all are this invocation's
        CHECK(each.evaluations_a_second * each.seconds == Approx(static_cast<double>(each.evaluations)));
    told.clear();
    setup.limits.generations = 4;
    const RunResult result = run(setup, made_fitness(), file, hooks);
    REQUIRE(told.size() == 3);
    CHECK(told[0].generation == 2);
    CHECK_FALSE(told[0].new_champion); // it is told of once
    CHECK(told[0].evaluations_a_second == 0);
    CHECK(told[1].fraction == Approx(0.5)); // of this invocation
    CHECK(told[2].fraction == Approx(1));
    const RunProgress& last = told.back();
    const RunState& state = result.state;
    CHECK(last.generation == 4);
    CHECK(last.best_train == state.history.back().best_train);
    CHECK(last.champion_train == state.champion().train.average);
    CHECK(last.champion_valid == state.champion().valid->average);
    CHECK(last.champion == state.champion().genome.text());
    CHECK_FALSE(last.champion_kl);
    CHECK_FALSE(last.tunes);
    CHECK(last.proposer_failure.empty());
    CHECK(last.new_champion == (state.last_champion_generation == 4));
    CHECK(last.evaluations == state.counters.evaluations);
    CHECK(last.evaluations_a_second > 0);
    CHECK(last.evaluations_a_second * last.seconds ==
          Approx(static_cast<double>(last.evaluations - told[0].evaluations)));
    CHECK(last.archive == state.archive.size());
    CHECK(last.shares.duplicates == shares_of(state.counters).duplicates);
    CHECK(state.seconds > 0);
}

TEST_CASE("the journal has every candidate once, the state those that a resume needs, and seconds add up") {
    const TemporaryFolder folder;
    const fs::path file = folder / "run.json";
    RunSetup setup = made_setup();
    setup.limits.generations = 2;
    const RunState first = run(setup, made_fitness(), file).state;
    setup.limits.generations = 3;
    const RunState second = run(setup, made_fitness(), file).state;
    CHECK(second.seconds > first.seconds);
    std::set<std::string> ids;
    std::set<std::uint64_t> hashes;
    for (const Candidate& candidate : test::candidates_of(file)) {
        CHECK(ids.insert(candidate.id).second);
        CHECK(hashes.insert(candidate.genome.hash()).second);
    }
    CHECK(ids.size() == second.counters.candidates);
    const RunSummary summary = read_run(file);
    CHECK(summary.suite == "made");
    CHECK(summary.seed == 2);
    CHECK(summary.generation == 3);
    CHECK(summary.evaluations == second.counters.evaluations);
    CHECK(summary.duplicates == second.counters.duplicates);
    CHECK(summary.start == "by hand");
    CHECK(summary.stop_reason == "generations: 3 were made");
    CHECK(summary.command == "a command");
    CHECK(summary.champion.id == second.champion().id);
    CHECK(test::ids_of(summary.champions) == test::ids_of(second.champions));
    CHECK(summary.retentions == std::vector<double>{0.5});
}
