// Variation and selection beyond the first engine: lexicase, islands, the archive, semantic duplicates and racing, each
// by itself, and all together with the promises of a run. SPDX-License-Identifier: MIT
#include <tbb/global_control.h>

#include <algorithm>
#include <map>
#include <set>

#include "evolution/archive.hpp"
#include "evolution/islands.hpp"
#include "evolution/lexicase.hpp"
#include "evolution/race.hpp"
#include "evolution/run.hpp"
#include "framework/capture/captured_suite.hpp"
#include "framework/capture/suites.hpp"
#include "framework/fitness/prefill_fitness.hpp"
#include "framework/fitness/rescore_fitness.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/made_search.hpp"
#include "tests/support/small_runs.hpp"

using namespace evictlab;
using namespace evictlab::evolution;
using evictlab::test::candidates_of;
using evictlab::test::saved_run;
using evictlab::test::TemporaryFolder;
using test::made_member;
namespace fs = std::filesystem;

namespace {

const std::vector<double> retentions{0.25, 0.5};

struct Captured : test::SmallCaptured {
    PrefillFitness fitness{suite, retentions, columns(), Measure::output_error};

    static std::vector<ColumnId> columns() {
        std::vector<ColumnId> ids = columns::of_the_seed();
        for (const std::string& name : captured_columns) ids.push_back(columns::intern(name));
        return ids;
    }
};

const Captured& captured() {
    static const Captured made;
    return made;
}

RunSetup full_setup(std::uint32_t generations) {
    RunSetup setup;
    setup.config.start = "window_attn:16";
    setup.config.start_formula = formula::parse("window_attn:16");
    setup.config.seed = 5;
    setup.config.population = 24;
    setup.config.tuned = 2;
    setup.config.tuning_evaluations = 20;
    setup.config.columns = captured_columns;
    setup.config.parents = ParentSelection::lexicase;
    setup.config.islands = 3;
    setup.config.migration = 2;
    setup.config.archive = 0.25;
    setup.config.semantic_duplicates = true;
    setup.config.race = true;
    setup.identity = test::identity_on(captured().suite);
    setup.limits.generations = generations;
    return setup;
}

RunResult run_new(const RunSetup& setup, const fs::path& file) {
    auto store = state::RunStore::create(file);
    return run_evolution(setup, captured().fitness, store);
}

RunResult run_on(const RunSetup& setup, const fs::path& file) {
    auto store = state::RunStore::resume(file);
    return run_evolution(setup, captured().fitness, store);
}

} // namespace

TEST_CASE("lexicase lets a specialist breed, and none that is worse everywhere") {
    std::vector<Member> members;
    for (int i = 0; i < 8; ++i) {
        members.push_back(made_member("recent_attn + " + std::to_string(i), 0.5));
        members.back().train.by_document = {{0.5, 0.4}, {0.5, 0.4}, {0.5, 0.4}};
    }
    members.push_back(made_member("key_norm", 0.8));
    members.back().train.by_document = {{0.9, 0.9}, {0.9, 0.9}, {0.1, 0.9}}; // best on the last document alone
    members.push_back(made_member("position", 0.9));
    members.back().train.by_document = {{0.9, 0.9}, {0.9, 0.9}, {0.9, 0.9}};
    std::vector<const Member*> pool;
    for (const Member& each : members) pool.push_back(&each);
    const Lexicase lexicase(pool);
    Rng rng(1, 0, 0, Purpose::variation);
    std::map<std::size_t, int> chosen;
    for (int i = 0; i < 600; ++i) ++chosen[lexicase.choose(rng)];
    CHECK(chosen[8] > 60); // whenever its case comes first: one time in six
    CHECK(chosen[8] < 150);
    CHECK(chosen[9] == 0);
    for (std::size_t i = 0; i < 8; ++i) CHECK(chosen[i] > 20);
}

TEST_CASE("the best of each island moves on to the next, and each island keeps its places") {
    std::vector<Member> population{made_member("recent_attn", 0.1, 1), made_member("key_norm", 0.2, 0),
                                   made_member("position", 0.3, 1), made_member("window_attn:4", 0.4, 2)};
    migrate(population, 3);
    REQUIRE(population.size() == 7);
    const auto arrived = [&](const std::string& id, std::uint32_t island) {
        return std::ranges::any_of(population, [&](const Member& m) { return m.id == id && m.island == island; });
    };
    CHECK(arrived("recent_attn", 1));
    CHECK(arrived("recent_attn", 2));
    CHECK(arrived("key_norm", 1));
    CHECK(arrived("window_attn:4", 0));
    CHECK_FALSE(arrived("position", 2));

    std::vector<Member> pool;
    for (int i = 0; i < 40; ++i)
        pool.push_back(made_member("recent_attn^" + std::to_string(i + 1) + " + key_norm", 0.5 + 0.01 * i,
                                   i < 30 ? 0U : static_cast<std::uint32_t>(1 + i % 2)));
    const auto next = survivors_of_islands(pool, {11, 0, 40}, 3);
    std::map<std::uint32_t, int> places;
    for (const Member& each : next) ++places[each.island];
    CHECK(places == std::map<std::uint32_t, int>{{0, 4}, {1, 4}, {2, 3}});
    CHECK(std::ranges::is_sorted(next, {}, [](const Member& m) { return m.train.average; }));
}

TEST_CASE("the archive keeps the best of each kind, however poor the kind is") {
    std::vector<Member> made{made_member("recent_attn", 0.3), made_member("2*recent_attn + recent_attn^2", 0.2),
                             made_member("key_norm", 0.9), made_member("key_norm + key_norm^2", 0.8),
                             made_member("recent_attn + key_norm", 0.5)};
    CHECK(archive_cell(made[0].genome.formula()) == archive_cell(made[1].genome.formula()));
    CHECK(archive_cell(made[0].genome.formula()) != archive_cell(made[2].genome.formula()));
    CHECK(archive_cell(made[0].genome.formula()) != archive_cell(made[4].genome.formula()));
    std::set<std::string> kept;
    std::vector<std::string> orders;
    for (int order = 0; order < 2; ++order) {
        std::vector<Member> archive;
        for (const Member& each : made) offer_to_archive(archive, {&each, 1});
        REQUIRE(archive.size() == 3);
        std::string ids;
        for (const Member& each : archive) ids += each.id + ";";
        kept.insert(ids);
        CHECK_THAT(ids, ContainsSubstring("2*recent_attn"));
        CHECK_THAT(ids, ContainsSubstring("key_norm + key_norm^2"));
        std::ranges::reverse(made);
    }
    CHECK(kept.size() == 1);
}

TEST_CASE("formulas that keep the same tokens have the same hash, and others another") {
    SuiteOptions options;
    options.patterns = 2;
    options.seq_len = 32;
    const Suite micro = make_suite("micro", options);
    const RescoreFitness rescore(micro.search_traces(), retentions);
    for (const Fitness* fitness :
         {static_cast<const Fitness*>(&rescore), static_cast<const Fitness*>(&captured().fitness)}) {
        const auto hash = [&](const char* text) {
            const formula::Program program(formula::parse(text));
            return fitness->kept_hash({&program, program.constants()}).value();
        };
        CHECK(hash("recent_attn") == hash("3*recent_attn + 1"));
        CHECK(hash("recent_attn") == hash("recent_attn*(1 + layer_ratio)"));
        CHECK(hash("recent_attn") != hash("key_norm"));
        CHECK(hash("recent_attn") != hash("recent_attn + 0.2*key_norm"));
    }
}

TEST_CASE("a race drops who falls behind, and measures the others as ever") {
    const PrefillFitness& fitness = captured().fitness;
    const formula::Program good(formula::parse("window_attn:16")), bad(formula::parse("0 - window_attn:16"));
    const std::vector<FitnessJob> jobs{{&good, good.constants()}, {&bad, bad.constants()}};
    const auto whole = fitness.evaluate(SearchSplit::train, jobs);
    REQUIRE(fitness.heats().size() == 3);

    std::vector<std::size_t> parts;
    const auto all = fitness.race(jobs, [&](std::size_t, std::size_t job, std::span<const double> figures) {
        if (job == 0) parts.push_back(figures.size());
        return true;
    });
    CHECK(parts == std::vector<std::size_t>{6, 4, 6}); // three documents of two layers; two of the three come first
    for (std::size_t i = 0; i < jobs.size(); ++i) {
        CHECK(all[i].errors.by_retention == whole[i].by_retention);
        CHECK(all[i].errors.by_document == whole[i].by_document);
    }

    const Rival rival(fitness, jobs[0]);
    std::size_t left_in = 99;
    const auto raced = fitness.race(jobs, [&](std::size_t heat, std::size_t job, std::span<const double> figures) {
        if (!rival.behind(heat, figures)) return true;
        CHECK(job == 1);
        left_in = heat;
        return false;
    });
    CHECK(raced[0].finished);
    CHECK(raced[0].errors.average == whole[0].average);
    CHECK_FALSE(raced[1].finished);
    CHECK(raced[1].left_in == left_in);
    CHECK(raced_error(fitness, jobs[0], rival, whole[0].average) == whole[0].average);
    CHECK(raced_error(fitness, jobs[1], rival, whole[0].average) > whole[0].average);
}

TEST_CASE("clearly behind is more than chance, and more than the slack") {
    const std::vector<double> rival{0.4, 0.5, 0.6};
    CHECK_FALSE(falls_behind(rival, rival, {2, 0}));
    CHECK(falls_behind(std::vector{0.41, 0.51, 0.61}, rival, {2, 0}));
    CHECK_FALSE(falls_behind(std::vector{0.41, 0.51, 0.61}, rival, {2, 0.1}));
    CHECK_FALSE(falls_behind(std::vector{0.7, 0.4, 0.5}, rival, {2, 0})); // worse in the mean, by one part alone
}

TEST_CASE("errors by document average to the errors") {
    const formula::Program program(formula::parse("window_attn:16"));
    const FitnessJob job{&program, program.constants()};
    const auto errors = captured().fitness.evaluate(SearchSplit::train, {&job, 1}).front();
    REQUIRE(errors.by_document.size() == 3);
    for (std::size_t r = 0; r < retentions.size(); ++r) {
        double sum = 0;
        for (const auto& document : errors.by_document) sum += document[r];
        CHECK(sum / 3 == Approx(errors.by_retention[r]));
    }
    CHECK(errors.by_document[0] != errors.by_document[1]);
}

TEST_CASE("with all of it, a run has the same bits for 1, 2 and 7 threads and across stops") {
    const TemporaryFolder folder;
    std::set<std::string> outcomes;
    for (const std::size_t threads : {1, 2, 7}) {
        const tbb::global_control limit(tbb::global_control::max_allowed_parallelism, threads);
        const fs::path file = folder.path / (std::to_string(threads) + ".json");
        run_new(full_setup(5), file);
        outcomes.insert(saved_run(file));
    }
    for (std::uint32_t stop = 0; stop < 5; ++stop) {
        const fs::path file = folder.path / ("stopped" + std::to_string(stop) + ".json");
        run_new(full_setup(stop), file);
        run_on(full_setup(5), file);
        outcomes.insert(saved_run(file));
    }
    CHECK(outcomes.size() == 1);
}

TEST_CASE("what each of them does to a run can be seen in it") {
    const TemporaryFolder folder;
    const fs::path file = folder / "evolution.json";
    const RunState state = run_new(full_setup(8), file).state;
    CHECK(state.counters.semantic_duplicates > 0);
    CHECK(state.counters.raced_out > 0);
    CHECK(state.archive.size() > 3);
    const Json saved = state::read_state(file); // and a resumed run goes on counting from there
    CHECK(saved.at("counters").at("semantic_duplicates") == state.counters.semantic_duplicates);
    CHECK(saved.at("counters").at("raced_out") == state.counters.raced_out);

    std::map<std::uint32_t, std::set<std::string>> islands;
    for (const Member& each : state.population) islands[each.island].insert(each.genome.hash_text());
    CHECK(islands.size() == 3);
    for (const auto& [island, hashes] : islands) CHECK(hashes.size() <= 8 + 24 / 3);

    std::uint64_t raced_out = 0;
    std::map<std::uint64_t, std::size_t> fewest_nodes;
    for (const Candidate& each : candidates_of(file)) {
        INFO(each.id << " " << each.op << " " << each.reason);
        if (each.train.by_retention.empty()) {
            ++raced_out;
            CHECK(each.status == Status::rejected);
            CHECK_THAT(each.reason, ContainsSubstring("times that of the last in the population"));
        }
        REQUIRE(each.kept_hash);
        const auto [seen, fresh] = fewest_nodes.emplace(*each.kept_hash, each.genome.size());
        const bool bred = each.op != "tune_constants" && !(each.generation == 1 && each.slot < 4);
        if (!fresh && bred) CHECK(each.genome.size() < seen->second); // keeps what another keeps, with fewer nodes
        seen->second = std::min(seen->second, each.genome.size());
    }
    CHECK(raced_out == state.counters.raced_out);
    for (const Member& each : state.population) CHECK_FALSE(each.train.by_retention.empty());
}

TEST_CASE("of two formulas that keep the same, the smaller takes the place of the larger") {
    const std::vector<Member> next = survivors({made_member("recent_attn + 0*key_norm + 3", 0.4),
                                                made_member("2*recent_attn*(1 + layer_ratio)", 0.4),
                                                made_member("recent_attn", 0.4), made_member("key_norm", 0.9)},
                                               {4, 1e-5, 4});
    REQUIRE(next.size() == 2);
    CHECK(next[0].id == "recent_attn");
}

TEST_CASE("a resumed run must agree in how it searches") {
    const TemporaryFolder folder;
    const fs::path file = folder / "evolution.json";
    run_new(full_setup(1), file);
    RunSetup other = full_setup(2);
    std::string named;
    SECTION("parents") { other.config.parents = ParentSelection::tournament, named = "config/parents"; }
    SECTION("islands") { other.config.islands = 2, named = "config/islands"; }
    SECTION("migration") { other.config.migration = 3, named = "config/migration"; }
    SECTION("archive") { other.config.archive = 0, named = "config/archive"; }
    SECTION("semantic duplicates") { other.config.semantic_duplicates = false, named = "config/semantic_duplicates"; }
    SECTION("race") { other.config.race = false, named = "config/race"; }
    CHECK_THROWS_WITH(run_on(other, file), ContainsSubstring(named));
}
