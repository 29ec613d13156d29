// A run's bits belong to the run: what else a process has done, and how often it was stopped, decides nothing.
// SPDX-License-Identifier: MIT
#include <fmt/format.h>

#include "evolution/run.hpp"
#include "framework/fitness/parameter_fitness.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/small_runs.hpp"

using namespace evictlab;
using namespace evictlab::evolution;
using evictlab::test::built_plugins;
using evictlab::test::TemporaryFolder;
namespace fs = std::filesystem;

namespace {

/// Names that 16 bits cannot count.
constexpr std::size_t many = 70'000;

std::string some_column(std::size_t i) { return fmt::format("lag_key:{}:sinks={}", 1 + i % 1000, i / 1000); }

void tune(const Suite& suite, const fs::path& file, std::uint32_t generations) {
    const std::vector<double> retentions{0.25, 0.5};
    RunSetup setup;
    auto space = std::make_shared<const ParameterSpace>(make_scorer("lagkv@kvpress:lag=8", built_plugins()));
    setup.config.start = space->text(space->start());
    setup.config.tunes = true;
    setup.config.space = std::move(space);
    setup.config.population = 10;
    setup.config.tuned = 0;
    setup.identity = test::identity_on(suite);
    setup.limits.generations = generations;
    const ParameterFitness fitness(suite, *setup.config.space, retentions, "output_error", nullptr);
    auto store = test::store_in(file);
    run_evolution(setup, fitness, store);
}

} // namespace

TEST_CASE("more names of columns than 16 bits count are held at once, and are let go of with their lists") {
    const std::size_t before = columns::held_names();
    {
        ColumnList held;
        for (std::size_t i = 0; i < many; ++i) held.add(some_column(i));
        CHECK(columns::held_names() >= before + many);
        for (const std::size_t i : {std::size_t{0}, many / 2, many - 1})
            CHECK(columns::name(held.ids()[i]) == some_column(i));
        ColumnList copy = held;
        held = {};
        CHECK(columns::name(copy.ids()[7]) == some_column(7));
    }
    CHECK(columns::held_names() == before);
    {
        ColumnList derived;
        derived.add("rank:lag_key:77");
        CHECK(columns::held_names() == before + 2); // and its base
        ColumnList base;
        base.add("lag_key:77");
        derived = {};
        CHECK(columns::name(base.ids()[0]) == "lag_key:77");
    }
    CHECK(columns::held_names() == before);
    ColumnId id = 0;
    {
        ColumnList held;
        held.add("rank:lag_key:78");
        id = columns::intern("rank:lag_key:78"); // a formula's, from now on
        CHECK(held.ids()[0] == id);
    }
    CHECK(columns::name(id) == "rank:lag_key:78");
    CHECK(columns::name(*columns::base(id)) == "lag_key:78");
}

TEST_CASE("parameter sets let go of their columns: a search may try as many as it likes") {
    const ParameterSpace space(make_scorer("lagkv@kvpress", built_plugins()));
    const std::size_t before = columns::held_names();
    for (int lag = 1; lag <= 500; ++lag) {
        std::vector<double> values(space.start().begin(), space.start().end());
        values[0] = lag;
        CHECK(space.scorer(values).columns().size() == 2);
    }
    CHECK(columns::held_names() <= before + 2);
}

TEST_CASE("a run ends in the same bits where the process has named columns without end, and where it was stopped") {
    const test::SmallCaptured captured;
    const TemporaryFolder folder;
    tune(captured.suite, folder / "alone.json", 4);
    tune(captured.suite, folder / "stopped.json", 2);
    for (std::size_t i = 0; i < many; ++i) columns::intern(some_column(i));
    tune(captured.suite, folder / "stopped.json", 4); // across what was a limit, on its other side
    tune(captured.suite, folder / "late.json", 4);
    const auto saved = [](const fs::path& file) { return test::saved_run(file, {"limits"}); };
    CHECK(saved(folder / "stopped.json") == saved(folder / "alone.json"));
    CHECK(saved(folder / "late.json") == saved(folder / "alone.json"));
    const auto candidates = test::candidates_of(folder / "late.json");
    for (const Candidate& candidate : candidates)
        CHECK(candidate.reason.find("cannot be measured") == std::string::npos);
}
