// Runs that tune a plugin's parameters: what is tried, what is refused, the promises of a run, and the command line.
// SPDX-License-Identifier: MIT
#include <tbb/global_control.h>

#include <algorithm>
#include <set>

#include "evolution/breeding.hpp"
#include "evolution/run.hpp"
#include "evolution/variation/parameters.hpp"
#include "framework/capture/captured_suite.hpp"
#include "framework/fitness/parameter_fitness.hpp"
#include "tests/support/acting_process.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/process.hpp"
#include "tests/support/small_runs.hpp"

using namespace evictlab;
using namespace evictlab::evolution;
using evictlab::test::built_plugins;
using evictlab::test::bytes_of;
using evictlab::test::candidates_of;
using evictlab::test::shell;
using evictlab::test::TemporaryFolder;
namespace fs = std::filesystem;

namespace {

const std::vector<double> retentions{0.25, 0.5};

ParameterSpace space_of(const std::string& scorer) { return ParameterSpace(make_scorer(scorer, built_plugins())); }

const test::SmallCaptured& captured() {
    static const test::SmallCaptured made;
    return made;
}

const Suite& synthetic() {
    static const Suite suite = test::small_micro();
    return suite;
}

const char* const snapkv = "snapkv@kvpress:window=8";

RunSetup setup_for(const std::string& scorer, const Suite& suite, std::uint32_t generations) {
    RunSetup setup;
    auto space = std::make_shared<const ParameterSpace>(make_scorer(scorer, built_plugins()));
    setup.config.start = space->text(space->start());
    setup.config.tunes = true;
    setup.config.space = std::move(space);
    setup.config.seed = 3;
    setup.config.population = 12;
    setup.config.tuned = 1;
    setup.config.tuning_evaluations = 12;
    setup.config.islands = 2;
    setup.config.migration = 2;
    setup.identity = test::identity_on(suite);
    setup.limits.generations = generations;
    return setup;
}

RunResult run(const RunSetup& setup, const Suite& suite, const fs::path& file, const RunHooks& hooks = {}) {
    const ParameterFitness fitness(suite, *setup.config.space, retentions, suite.captured() ? "output_error" : "",
                                   hooks.stop);
    auto store = test::store_in(file);
    return run_evolution(setup, fitness, store, hooks);
}

std::string outcome(const fs::path& file) { return test::saved_run(file, {"limits"}); }

} // namespace

TEST_CASE("a space names scorers by what differs from their preset, and make_scorer reads the name") {
    const ParameterSpace space = space_of("snapkv@paper:max_pooling=false,window=32");
    CHECK(space.text(space.start()) == "snapkv@paper:max_pooling=0");
    CHECK(space.changed(space.start()) == 1);
    CHECK(space.text(space.preset()) == "snapkv@paper");
    const std::vector<double> other{48, 9, 1};
    CHECK(space.text(other) == "snapkv@paper:window=48,kernel=9");
    const Scorer made = make_scorer(space.text(other), built_plugins());
    CHECK(std::vector<double>(made.values().begin(), made.values().end()) == other);
    CHECK(space.scorer(other).label() == space.text(other));
    CHECK(space.fitted(0, 48.4) == 48);
    CHECK(space.fitted(0, -3) == 1);
    CHECK(space.fitted(1, 1000) == 255);
    CHECK(space.fitted(2, 0.7) == 1);
    CHECK(space.size() == std::uint64_t{4096} * 255 * 2);

    const ParameterSpace wrapper = space_of("adakv@kvpress(snapkv@kvpress:window=8)");
    CHECK(wrapper.text(wrapper.start()) == "adakv@kvpress(snapkv@kvpress:window=8)");
    CHECK(!wrapper.size());
    std::vector<double> half(wrapper.start().begin(), wrapper.start().end());
    half[0] = 0.5;
    CHECK(wrapper.scorer(half).label() == "adakv@kvpress:alpha=0.5(snapkv@kvpress:window=8)");
}

TEST_CASE("a space says what cannot be tuned") {
    CHECK_THROWS_WITH(space_of("random"), ContainsSubstring("no evolvable parameters") && ContainsSubstring("seed"));
    CHECK_THROWS_WITH(space_of("=recent_attn"), ContainsSubstring("is a formula"));
    CHECK_THROWS_WITH(space_of("snapkv@paper").scorer(std::vector<double>{48, 8, 1}),
                      ContainsSubstring("kernel must be odd"));
}

TEST_CASE("figures of a scorer are those of a bench, one split at a time, and refusals are told") {
    const Suite& suite = captured().suite;
    const ParameterSpace space = space_of(snapkv);
    const ParameterFitness fitness(suite, space, retentions, "output_error", nullptr);
    const std::vector<std::vector<double>> sets{{8, 5, 0}, {8, 4, 0}, {12, 3, 1}, {36, 5, 0}};
    std::vector<FitnessJob> jobs;
    for (const auto& set : sets) jobs.push_back({nullptr, set});

    BenchOptions options;
    options.retentions = retentions;
    options.measure = "output_error";
    const Bench bench = run_bench(suite, std::vector{space.scorer(sets[0]), space.scorer(sets[2])}, options);
    for (const SearchSplit split : {SearchSplit::train, SearchSplit::valid}) {
        const auto errors = fitness.evaluate(split, jobs);
        for (const std::size_t i : {0, 1}) {
            const SplitErrors& row = bench.rows[i].splits[static_cast<std::size_t>(split)];
            CHECK(errors[2 * i].by_retention == row.by_retention);
            CHECK(errors[2 * i].by_document == row.by_trace);
            CHECK(errors[2 * i].failure.empty());
        }
        CHECK_THAT(errors[1].failure, ContainsSubstring("kernel must be odd"));
        CHECK_THAT(errors[3].failure, ContainsSubstring("needs more tokens than its window"));
        CHECK(errors[3].by_retention.empty());
    }
}

TEST_CASE("operators keep integers whole, booleans two-valued and all in range, and say why") {
    const ParameterSpace space = space_of("snapkv@kvpress");
    const std::vector<double> one{64, 5, 0}, other{8, 7, 1};
    const std::vector<const std::vector<double>*> parents{&one, &other};
    std::set<std::string> unlike;
    for (const ParameterOperator& op : parameter_operators())
        for (std::uint32_t slot = 0; slot < 200; ++slot) {
            Rng rng(1, 1, slot, Purpose::variation);
            const ParameterOffspring made = op.make(parents, rng, space);
            if (made.values.empty()) continue;
            for (std::size_t i = 0; i < made.values.size(); ++i)
                CHECK(made.values[i] == space.fitted(i, made.values[i]));
            CHECK(!made.hypothesis.empty());
            if (made.values != one) unlike.insert(std::string(op.name));
        }
    CHECK(unlike.size() == parameter_operators().size() - 1); // nothing differs from the preset, so nothing is reset
    const std::vector<const std::vector<double>*> changed{&other};
    Rng rng(1, 1, 1, Purpose::variation);
    const auto reset = std::ranges::find(parameter_operators(), "parameter_reset", &ParameterOperator::name);
    CHECK(space.changed(reset->make(changed, rng, space).values) == 2);
}

TEST_CASE("tuning a plugin's whole numbers improves on the scorer as named, and refusals cost a slot alone") {
    const TemporaryFolder folder;
    const RunSetup setup = setup_for(snapkv, captured().suite, 6);
    const RunResult result = run(setup, captured().suite, folder / "run.json");
    const auto& champions = result.state.champions;
    REQUIRE(champions.size() > 1);
    CHECK(champions.front().genome.text() == snapkv);
    CHECK(champions.back().train.average < champions.front().train.average);
    CHECK(champions.back().valid->average < champions.front().valid->average);
    const auto all = candidates_of(folder / "run.json");
    std::set<std::string> texts;
    std::uint64_t refused = 0;
    for (const Candidate& candidate : all) {
        CHECK(texts.insert(candidate.genome.text()).second);
        CHECK(candidate.genome.parameters()->scorer == setup.config.space->text(candidate.genome.parameters()->values));
        CHECK(!candidate.hypothesis.empty());
        if (static_cast<int>(candidate.genome.parameters()->values[1]) % 2 != 0) continue;
        ++refused;
        CHECK(candidate.status == Status::rejected);
        CHECK(candidate.train.by_retention.empty());
        CHECK_THAT(candidate.reason, ContainsSubstring("kernel must be odd"));
    }
    CHECK(refused > 0);
    CHECK(result.state.counters.refused >= refused);
    CHECK(result.state.counters.raced_out == 0);
    CHECK(result.state.counters.evaluations + result.state.counters.refused == all.size()); // nothing is continuous
}

TEST_CASE("continuous parameters are tuned by CMA-ES, too") {
    const TemporaryFolder folder;
    const RunResult result = run(setup_for("hybrid", synthetic(), 4), synthetic(), folder / "run.json");
    CHECK(result.state.champions.size() > 1);
    const auto all = candidates_of(folder / "run.json");
    CHECK(std::ranges::count(all, "tune_parameters", &Candidate::op) > 0);
}

TEST_CASE("a tuning has the same bits for 1, 2 and 7 threads, and stopped and resumed after each generation") {
    const TemporaryFolder folder;
    for (const char* scorer : {snapkv, "hybrid"}) {
        const Suite& suite = scorer == snapkv ? captured().suite : synthetic();
        const std::string name = scorer == snapkv ? "snapkv" : "hybrid";
        std::string first;
        for (const std::size_t threads : {1, 2, 7}) {
            const tbb::global_control limit(tbb::global_control::max_allowed_parallelism, threads);
            const fs::path file = folder.path / (name + std::to_string(threads) + ".json");
            run(setup_for(scorer, suite, 3), suite, file);
            if (first.empty()) first = outcome(file);
            CHECK(outcome(file) == first);
        }
        const fs::path pieces = folder.path / (name + "-pieces.json");
        for (std::uint32_t generation = 0; generation <= 3; ++generation) {
            std::atomic<bool> stop{true}; // the generation in flight is left and made again
            RunHooks hooks;
            hooks.stop = &stop;
            if (generation > 0) CHECK(run(setup_for(scorer, suite, 3), suite, pieces, hooks).stopped);
            run(setup_for(scorer, suite, generation), suite, pieces);
        }
        CHECK(outcome(pieces) == first);
    }
}

TEST_CASE("a run ends when every setting was tried, those included that the plugin refuses") {
    const TemporaryFolder folder;
    const RunSetup setup = setup_for(EVICTLAB_TEST_PLUGINS "/tuned/small_space.so", synthetic(), 1000);
    CHECK(setup.config.start == "small_space");
    CHECK(setup.config.space->size() == 8U);
    const RunResult result = run(setup, synthetic(), folder / "run.json");
    CHECK_THAT(result.state.stop_reason, ContainsSubstring("exhausted: all 8 settings"));
    CHECK(candidates_of(folder / "run.json").size() == 8);
    CHECK(result.state.counters.refused == 2);
    CHECK(result.state.counters.evaluations == 6);
}

TEST_CASE("a judge is asked about the scorer by its name") {
    test::ActingProcess judge{test::acting_judge};
    const fs::path file = judge.folder / "run.json";
    RunSetup setup = setup_for(snapkv, captured().suite, 3);
    setup.config.asked_of_model = 3;
    setup.identity.judge_command = "an acting judge";
    auto store = test::store_in(file);
    auto verdicts = state::AnswerJournal::create(file.string() + ".verdicts");
    VerdictJudge asked({judge.command("is plain"), retentions, std::chrono::seconds(20)}, verdicts);
    External external;
    external.judge = &asked;
    const ParameterFitness fitness(captured().suite, *setup.config.space, retentions, "output_error", nullptr);
    const RunResult result = run_evolution(setup, fitness, store, {}, external);
    const double length = double(std::string(snapkv).size()); // what the acting judge goes by
    CHECK(result.state.champions.front().verdict->train.by_document ==
          std::vector<std::vector<double>>{{(length + 6) / 0.25, (length + 6) / 0.5}});
    CHECK_THAT(bytes_of(file.string() + ".verdicts"), ContainsSubstring("snapkv@kvpress:window="));
}

TEST_CASE("the command line tunes, resumes and reports a plugin") {
    const TemporaryFolder folder;
    const std::string suite = captured().folder.path.string(), state = (folder / "run.json").string();
    const auto first = shell("evictlab evolve --tune snapkv@kvpress:window=8 --suite " + suite + " --state " + state +
                             " --generations 3");
    INFO(first.err);
    REQUIRE(first.code == 0);
    CHECK_THAT(first.out, ContainsSubstring("parameter sets measured"));
    const auto on = shell("evictlab evolve --state " + state + " --resume --generations 5");
    INFO(on.err);
    REQUIRE(on.code == 0);
    const std::string champion = read_run(state).champion.genome.text();
    CHECK(champion != snapkv);
    CHECK_THAT(on.out, ContainsSubstring("champion    " + champion));

    const auto status = shell("evictlab status " + state), log = shell("evictlab log " + state);
    CHECK_THAT(status.out, ContainsSubstring("parameter sets measured") && ContainsSubstring(champion));
    CHECK_THAT(log.out, ContainsSubstring("snapkv@kvpress:window=8\n") && ContainsSubstring("  " + champion + "\n"));
    const auto json = Json::parse(shell("evictlab log --json " + state).out);
    CHECK(json.at("champions").back().at("scorer") == champion);

    const auto report = shell("evictlab report --plots none --state " + state);
    INFO(report.err);
    CHECK_THAT(report.out, ContainsSubstring("`" + champion + "`"));
    CHECK_THAT(report.out, ContainsSubstring("evictlab evolve --suite") && ContainsSubstring("--tune "));
    const auto exported = shell("evictlab export " + state + " --to formula");
    CHECK(exported.code == 2);
    CHECK_THAT(exported.err, ContainsSubstring("--scorers " + champion));
}

TEST_CASE("what cannot be tuned, or not so, is wrong use and leaves no file") {
    const TemporaryFolder folder;
    const std::string state = (folder / "run.json").string();
    const std::string evolve = "evictlab evolve --suite micro --patterns 2 --seq-len 24 --state " + state;
    const auto refuse = [&](const std::string& options, const std::string& why) {
        const auto outcome = shell(evolve + " " + options);
        INFO(outcome.err);
        CHECK(outcome.code == 2);
        CHECK_THAT(outcome.err, ContainsSubstring(why));
        CHECK(!fs::exists(state));
    };
    refuse("--tune random", "has no evolvable parameters");
    refuse("--tune '=recent_attn'", "is a formula");
    refuse("--tune h2o --start hybrid_start", "--start is for evolving formulas");
    refuse("--tune h2o --archive 0.2", "--archive is for evolving formulas");
    refuse("--tune adakv@kvpress", "is a wrapper");
}
