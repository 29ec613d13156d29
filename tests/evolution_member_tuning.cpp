// Which members are tuned in a generation, how thoroughly, by what, and the candidate that comes of it.
// SPDX-License-Identifier: MIT
#include "evolution/member_tuning.hpp"

#include <algorithm>
#include <cmath>

#include "evolution/breeding.hpp"
#include "framework/plugin/host.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/made_search.hpp"
#include "tests/support/small_runs.hpp"

using namespace evictlab;
using namespace evictlab::evolution;
using evictlab::test::built_plugins;
using test::made_error;
using test::made_member;
using test::MadeFitness;

namespace {

using Places = std::vector<std::size_t>;

const StopSignal never;

/// `count` structures with a constant each, cheapest first.
RunState made_state(std::size_t count) {
    RunState state;
    for (std::size_t i = 0; i < count; ++i) {
        std::string text = "2*recent_attn";
        for (std::size_t j = 0; j < i; ++j) text = "tanh(" + text + ")";
        state.population.push_back(made_member(text, 0.1 + 0.01 * static_cast<double>(i)));
    }
    return state;
}

} // namespace

TEST_CASE("the best structures are tuned, and each tuning before counts as an eighth of the population") {
    RunState state = made_state(6);
    RunConfig config;
    config.population = 16; // an eighth is two places
    config.tuned = 3;
    CHECK(structures_to_tune(state, config) == Places{0, 1, 2});
    state.population[0].tunings = 1; // as good as place 2, behind which it came before
    CHECK(structures_to_tune(state, config) == Places{1, 0, 2});
    state.population[1].tunings = 2; // as good as place 5, and before it
    CHECK(structures_to_tune(state, config) == Places{0, 2, 3});
    config.tuned = 5;
    CHECK(structures_to_tune(state, config) == Places{0, 2, 3, 4, 1});
    config.tuned = 9;
    CHECK(structures_to_tune(state, config) == Places{0, 2, 3, 4, 1, 5});
    config.tuned = 0;
    CHECK(structures_to_tune(state, config).empty());
    config.tuned = 3;
    config.population = 7; // an eighth of it is nothing
    CHECK(structures_to_tune(state, config) == Places{0, 1, 2});
}

TEST_CASE("of a structure the best alone is tuned, and of those without constants none") {
    RunState state;
    state.population = {made_member("recent_attn", 0.1), made_member("2*recent_attn", 0.2),
                        made_member("3*recent_attn", 0.3), made_member("2*key_norm", 0.4)};
    RunConfig config;
    config.population = 8;
    config.tuned = 8;
    CHECK(structures_to_tune(state, config) == Places{1, 3});
    state.population[1].tunings = 2;
    CHECK(structures_to_tune(state, config) == Places{2, 3}); // then another of its kind comes first
}

TEST_CASE("a tuning is longer the oftener its structure was tuned, and its options come from its stream") {
    const MadeFitness fitness = MadeFitness::to_goal(7);
    RunConfig config;
    config.tuning_evaluations = 60;
    for (std::uint32_t tunings = 0; tunings < 6; ++tunings) {
        Member member = made_member("2*recent_attn + 0.5*key_norm", 3.5);
        member.tunings = tunings;
        const Rng stream(1, 2, 3 + tunings, Purpose::tuning);
        const TuningResult result = tune(member, config, fitness, never, stream);
        Rng rng = stream;
        TuningOptions options;
        options.seed = rng.next();
        options.evaluations = 60 * std::min(4U, 1 + tunings);
        options.step = rng.uniform() < 0.3 ? 0.4 : 0.15;
        std::size_t calls = 0;
        const formula::Program program(member.genome.formula());
        const auto expected = tune_constants(program.constants(), 3.5, options, [&](std::span<const double> values) {
            ++calls;
            return std::min(1e3, std::abs(MadeFitness::score(FitnessJob{&program, values}) - 7));
        });
        CHECK(result.values == expected.values);
        CHECK(result.error == expected.error);
        CHECK(result.evaluations == calls);
        CHECK(result.error < 0.1);
    }
}

TEST_CASE("both first steps of a tuning are taken, the far one in three of ten cases") {
    const MadeFitness fitness = MadeFitness::to_goal(7);
    RunConfig config;
    config.tuning_evaluations = 6;
    const Member member = made_member("2*recent_attn", 5);
    int far = 0;
    for (std::uint32_t slot = 0; slot < 200; ++slot) {
        Rng rng(1, 2, slot, Purpose::tuning), same = rng;
        TuningOptions options;
        options.seed = same.next();
        options.evaluations = 6;
        options.step = 0.4;
        const auto objective = [&](std::span<const double> values) { return std::abs(values[0] - 7); };
        const auto wide = tune_constants(member.genome.formula().constants(), 5, options, objective);
        options.step = 0.15;
        const auto narrow = tune_constants(member.genome.formula().constants(), 5, options, objective);
        const auto made = tune(member, config, fitness, never, rng);
        const bool is_far = same.uniform() < 0.3;
        far += is_far ? 1 : 0;
        CHECK(made.values == (is_far ? wide : narrow).values);
    }
    CHECK(far > 40);
    CHECK(far < 80);
}

TEST_CASE("where there are heats a tuning is a race against what it came from") {
    MadeFitness fitness = MadeFitness::to_goal(7);
    fitness.heat_names = {"rough figure"};
    fitness.figures = [](std::size_t, double score) {
        const double error = std::abs(score - 7) + 1;
        return std::vector<double>{error, error};
    };
    RunConfig config;
    config.tuning_evaluations = 60;
    const Member member = made_member("2*recent_attn + 0.5*key_norm", 3.5);
    const Rng stream(1, 2, 3, Purpose::tuning);
    const TuningResult whole = tune(member, config, fitness, never, stream);
    const auto measured_whole = fitness.measured.load();
    CHECK(measured_whole == whole.evaluations);
    config.race = true;
    const TuningResult raced = tune(member, config, fitness, never, stream);
    CHECK(fitness.measured - measured_whole < raced.evaluations); // some fell behind
    CHECK(raced.error < 0.5);
    fitness.heat_names.clear(); // no heats, no race
    const auto before = fitness.measured.load();
    const TuningResult no_heats = tune(member, config, fitness, never, stream);
    CHECK(fitness.measured - before == no_heats.evaluations);
    CHECK(no_heats.values == whole.values);
}

TEST_CASE("a stop is heeded within a tuning") {
    const MadeFitness fitness = MadeFitness::to_goal(7);
    const std::atomic<bool> stop = true;
    CHECK_THROWS_AS(
        tune(made_member("2*recent_attn", 5), RunConfig{}, fitness, StopSignal(&stop), Rng(1, 2, 3, Purpose::tuning)),
        Interrupted);
    RunConfig tuning;
    tuning.space =
        std::make_shared<const ParameterSpace>(make_scorer("adakv@kvpress(snapkv@kvpress)", built_plugins()));
    Member member = made_member("recent_attn", 0.5);
    member.genome = Genome::parameters_of(*tuning.space, tuning.space->start());
    CHECK_THROWS_AS(tune(member, tuning, fitness, StopSignal(&stop), Rng(1, 2, 3, Purpose::tuning)), Interrupted);
}

TEST_CASE("a tuned formula is a candidate that says what moved") {
    const Member member = made_member("2*recent_attn + 0.5*key_norm + 3*position", 0.5);
    RunConfig config;
    const std::vector<double> constants = tunable(member.genome, config);
    CHECK(constants == member.genome.formula().constants());
    REQUIRE(constants.size() == 3);
    TuningResult result{constants, 0.4, 77};
    result.values[1] = 9;
    const Candidate made = tuned_candidate(member, result, config, 5, 401);
    CHECK(made.id == "g5-s401");
    CHECK(made.op == "tune_constants");
    CHECK(made.parents == std::vector{member.id});
    CHECK(made.hypothesis == "its constants were not at their best: 1 of 3 moved by CMA-ES in 77 evaluations");
    CHECK(made.genome.hash_text() == canonical_hash(member.genome.formula().with_constants(result.values)));
    result.values[0] = result.values[2] = 8;
    CHECK_THAT(tuned_candidate(member, result, config, 5, 401).hypothesis, ContainsSubstring(": 3 of 3 moved"));
}

TEST_CASE("of a plugin the continuous parameters are tuned, and a refused set counts as far worse") {
    RunConfig config;
    config.space =
        std::make_shared<const ParameterSpace>(make_scorer("adakv@kvpress(snapkv@kvpress)", built_plugins()));
    const std::vector<double> start(config.space->start().begin(), config.space->start().end());
    Member member;
    member.id = "start";
    member.genome = Genome::parameters_of(*config.space, start);
    member.train = made_error(0.4);
    CHECK(tunable(member.genome, config) == config.space->continuous(start));
    REQUIRE(tunable(member.genome, config).size() == 1); // alpha, 0.2
    config.tuning_evaluations = 60;
    int refused = 0;
    const MadeFitness fitness([&refused](SearchSplit, double alpha) {
        FormulaErrors errors = made_error(std::abs(alpha - 0.6) + 0.01);
        if (alpha > 0.7) errors = {{}, 0, {}, "too much"}; // whose average, 0, must not be believed
        refused += alpha > 0.7 ? 1 : 0;
        return errors;
    });
    const Rng stream(1, 2, 3, Purpose::tuning);
    const TuningResult result = tune(member, config, fitness, never, stream);
    CHECK(std::abs(result.values[0] - 0.6) < 0.05);
    CHECK(result.error < 0.06);
    CHECK(refused > 0);
    Rng rng = stream;
    TuningOptions options;
    options.seed = rng.next();
    options.evaluations = 60;
    options.step = rng.uniform() < 0.3 ? 0.4 : 0.15;
    const auto expected =
        tune_constants(tunable(member.genome, config), 0.4, options, [&](std::span<const double> moved) {
            const double alpha = config.space->fitted(0, moved[0]);
            return alpha > 0.7 ? 10 * 0.4 : std::abs(alpha - 0.6) + 0.01;
        });
    CHECK(result.values == expected.values);
    const Candidate made = tuned_candidate(member, result, config, 2, 30);
    CHECK(made.op == "tune_parameters");
    CHECK(made.parents == std::vector<std::string>{"start"});
    CHECK(made.genome.parameters()->values == config.space->with_continuous(start, result.values));
    CHECK(made.genome.parameters()->scorer == config.space->text(made.genome.parameters()->values));
    CHECK_THAT(made.hypothesis,
               ContainsSubstring("its continuous parameters were not at their best: 1 of 1 moved by CMA-ES in "));
}
