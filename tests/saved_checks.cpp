// States whose checksum is right and whose content no run has saved: refused by field, by everybody who reads them.
// SPDX-License-Identifier: MIT
#include "evolution/run.hpp"
#include "evolution/saved_run.hpp"
#include "framework/fitness/parameter_fitness.hpp"
#include "framework/fitness/rescore_fitness.hpp"
#include "state/document.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/process.hpp"
#include "tests/support/small_runs.hpp"

using namespace evictlab;
using namespace evictlab::evolution;
using evictlab::test::bytes_of;
using evictlab::test::put;
using evictlab::test::shell;
using evictlab::test::TemporaryFolder;
namespace fs = std::filesystem;
using Pointer = Json::json_pointer;

namespace {

const std::vector<double> retentions{0.25, 0.5};

const Suite& suite() {
    static const Suite made = test::small_micro();
    return made;
}

RunSetup formulas(std::uint32_t generations) {
    RunSetup setup;
    setup.config.start = "recent_attn + 0.1*cumulative_attn";
    setup.config.start_formula = formula::parse(setup.config.start);
    setup.config.population = 24;
    setup.config.islands = 2;
    setup.config.archive = 0.1;
    setup.config.tuned = 1;
    setup.config.tuning_evaluations = 10;
    setup.identity = test::identity_on(suite());
    setup.limits.generations = generations;
    return setup;
}

RunSetup parameters(std::uint32_t generations) {
    static PluginHost host(std::vector<fs::path>{EVICTLAB_PLUGIN_FOLDER});
    RunSetup setup = formulas(generations);
    auto space = std::make_shared<const ParameterSpace>(make_scorer("snapkv@seed", host));
    setup.config = {};
    setup.config.start = space->text(space->start());
    setup.config.tunes = true;
    setup.config.space = std::move(space);
    setup.config.population = 8;
    setup.config.tuned = 0;
    return setup;
}

std::unique_ptr<Fitness> fitness_of(const RunSetup& setup) {
    if (setup.config.space)
        return std::make_unique<ParameterFitness>(suite(), *setup.config.space, retentions, "", nullptr);
    return std::make_unique<RescoreFitness>(suite().search_traces(), retentions);
}

void go_on(const RunSetup& setup, const fs::path& file) {
    auto store = fs::exists(file) ? state::RunStore::resume(file) : state::RunStore::create(file);
    run_evolution(setup, *fitness_of(setup), store);
}

/// A run of two generations, and copies of it with one thing changed and the checksum made right.
struct Spoiled {
    TemporaryFolder folder;
    fs::path file = folder / "run.json";
    RunSetup longer;
    Json whole;

    explicit Spoiled(RunSetup (*setup)(std::uint32_t)) : longer(setup(3)) {
        go_on(setup(2), file);
        whole = Json::parse(bytes_of(file));
    }
    void write(const Json& run) const {
        state::Document document;
        document.journal = {whole["journal_bytes"], whole["journal_lines"], whole["journal_chain"]};
        document.run = run;
        put(file, encode(document, file));
    }
    /// What reading says, and what resuming does.
    std::string read(const Json& run) const {
        const std::string name = "run.json";
        return said([&] { saved_run(JsonField(run, name)); });
    }
    std::string resumed(const Json& run) const {
        write(run);
        const std::string before = bytes_of(file);
        std::string what = said([&] { go_on(longer, file); });
        if (what != "(nothing)") CHECK(bytes_of(file) == before);
        return what;
    }

private:
    template <class Step>
    static std::string said(Step step) {
        try {
            step();
        } catch (const Error& error) {
            return error.what();
        }
        return "(nothing)";
    }
};

struct Change {
    const char* pointer; ///< "" for a change by `by` alone
    const char* value;   ///< JSON
    const char* place;   ///< in the message
    void (*by)(Json& run) = nullptr;
};

// Refused by all that read a state.
const Change wrong[] = {
    {"/generation", "4000000000", "generation"},
    {"/generation", "-1", "generation"},
    {"/generation", "1e300", "generation"},
    {"/generation", "1", "history"},
    {"/generation", "\"2\"", "generation"},
    {"/last_champion_generation", "7", "last_champion_generation"},
    {"/counters/candidates", "0", "counters.candidates"},
    {"/counters/candidates", "18446744073709551615", "counters.candidates"},
    {"/counters/accepted", "1000000", "counters.accepted"},
    {"/counters/evaluations", "1", "counters.evaluations"},
    {"/counters/duplicates", "-5", "counters.duplicates"},
    {"/counters/duplicates", "18446744073709551615", "counters.duplicates"},
    {"/counters/raced_out", "1000000", "counters.raced_out"},
    {"/counters/refused", "1000000", "counters.refused"},
    {"/champions", "[]", "champions"},
    {"/champions", "{}", "champions"},
    {"/champions/0/id", "\"g7-s1\"", "champions[0].id"},
    {"/champions/0/generation", "2", "champions[0]"},
    {"/champions/0/status", "\"rejected\"", "champions[0].status"},
    {"/champions/0/valid", "null", "champions[0]"},
    {"/champions/0/train", "null", "champions[0].train"},
    {"/champions/0/train/average", "1e300", "champions[0].train.average"},
    {"/champions/0/train/by_retention", "[]", "champions[0].train.by_retention"},
    {"/champions/0/train/by_retention/0", "-1", "champions[0].train.by_retention"},
    {"/champions/0/train/by_retention/0", "null", "champions[0].train.by_retention[0]"},
    {"/champions/0/formula", "\"no_such(column\"", "champions[0].formula"},
    {"/champions/0/formula", "\"\"", "champions[0].formula"},
    {"/champions/0/hash", "\"zz\"", "champions[0].hash"},
    {"", "", "champions[", [](Json& run) { run["champions"].push_back(run["champions"][0]); }},
    {"/population", "[]", "population"},
    {"/population/3/island", "99", "population[3].island"},
    {"/population/3/island", "4294967295", "population[3].island"},
    {"/population/3/tunings", "4294967295", "population[3].tunings"},
    {"/population/3/train/by_retention", "[0.5]", "population[3].train.by_retention"},
    {"/population/3/train/by_document", "[[1],[2],[3]]", "population[3].train"},
    {"/population/3/formula", "7", "population[3].formula"},
    {"", "", "nobody is on island",
     [](Json& run) {
         for (Json& one : run["population"]) one["island"] = 0;
     }},
    {"", "", "is listed twice", [](Json& run) { run["population"].push_back(run["population"][0]); }},
    {"", "", "population[0]",
     [](Json& run) {
         run["population"][0].erase("formula");
         run["population"][0]["scorer"] = "snapkv";
         run["population"][0]["values"] = {1};
         run["population"][0]["changed"] = 1;
     }},
    {"/archive/0", "null", "archive[0]"},
    {"", "", "archive[1]", [](Json& run) { run["archive"].insert(run["archive"].begin(), run["archive"].back()); }},
    {"/history", "[]", "history"},
    {"/history/0/0", "5", "history[0]"},
    {"/history/1/1", "-3", "history[1]"},
    {"/history/1", "[1]", "history[1]"},
    {"", "", "history[0]", [](Json& run) { std::swap(run["history"][0], run["history"][1]); }},
    {"", "", "history", [](Json& run) { run["history"].push_back(run["history"].back()); }},
    {"/times/seconds", "-1", "times.seconds"},
    {"/times/seconds", "1e300", "times.seconds"},
    {"/proposal_outcomes", "[{\"id\":\"g1-s1\",\"formula\":\"\",\"hypothesis\":\"\",\"reason\":\"\"}]",
     "proposal_outcomes"},
    {"/retentions", "[]", "retentions"},
    {"/retentions/0", "0", "retentions[0]"},
    {"/retentions/1", "1.5", "retentions[1]"},
    {"", "", "retentions", [](Json& run) { run["retentions"] = std::vector<double>(100'000, 0.5); }},
    {"/config/population", "1", "config.population"},
    {"/config/population", "4294967295", "config.population"},
    {"/config/islands", "0", "config.islands"},
    {"/config/islands", "500", "config.islands"},
    {"/config/migration", "0", "config.migration"},
    {"/config/query_stride", "0", "config.query_stride"},
    {"/config/tuning_evaluations", "4294967295", "config.tuning_evaluations"},
    {"/config/max_nodes", "0", "config.max_nodes"},
    {"/config/max_nodes", "1", "config.start_formula"},
    {"/config/archive", "-0.5", "config.archive"},
    {"/config/archive", "1", "config.archive"},
    {"/config/node_price", "-1", "config.node_price"},
    {"/config/columns", "[]", "config.columns"},
    {"/config/columns/0", "\"no_such_column\"", "config.columns[0]"},
    {"/config/columns/0", "\"window_attn:-3\"", "config.columns[0]"},
    {"/config/parents", "\"fate\"", "config.parents"},
    {"/config/judged", "5", "outside.judge"},
    {"/config/proposals", "5", "outside.proposer"},
    {"/outside/judge", "\"id\"", "outside.judge"},
    {"/outside/judge_timeout", "-1", "outside.judge_timeout"},
    {"/suite/reference", "{\"train\":[1],\"valid\":[]}", "suite.reference"},
    {"/suite/reference", "{\"train\":[0],\"valid\":[1]}", "suite.reference"},
    {"/suite/reference", "{\"train\":[1],\"valid\":[1]}", "retentions"},
    {"/limits/seconds", "-1", "limits"},
};

// Made sense of alone, but not with the run's suite and journal.
const Change wrong_to_go_on[] = {
    {"/champions/0/parents", "[]", "(nothing)"},
    {"/population/3/formula", "\"window_attn:9 + recent_attn\"", "population[3].formula"},
    {"/population/3/hash", "\"00000000000000aa\"", "population[3].hash"},
    {"/population/3/id", "\"g2-s9999\"", "population[3].id"},
    {"/archive/1/id", "\"g2-s9999\"", "archive[1].id"},
    {"", "", "counters.candidates",
     [](Json& run) { run["counters"]["candidates"] = run["counters"]["candidates"].get<int>() - 1; }},
    {"", "", "population[", [](Json& run) { std::reverse(run["population"].begin(), run["population"].end()); }},
};

Json changed(const Json& whole, const Change& change) {
    Json run = whole["run"];
    if (change.by)
        change.by(run);
    else
        run[Pointer(change.pointer)] = Json::parse(change.value, nullptr, false);
    return run;
}

} // namespace

TEST_CASE("what no run has saved is refused by field, whoever reads it") {
    const Spoiled spoiled(formulas);
    CHECK(spoiled.read(spoiled.whole["run"]) == "(nothing)");
    for (const Change& change : wrong) {
        INFO(change.pointer << " " << change.value << ", wanted " << change.place);
        const Json run = changed(spoiled.whole, change);
        CHECK_THAT(spoiled.read(run), ContainsSubstring(change.place));
        CHECK_THAT(spoiled.resumed(run), !Catch::Matchers::Equals("(nothing)"));
    }
}

TEST_CASE("what does not fit the run's suite and journal is refused by field on resume") {
    const Spoiled spoiled(formulas);
    for (const Change& change : wrong_to_go_on) {
        INFO(change.pointer << " " << change.value);
        CHECK_THAT(spoiled.resumed(changed(spoiled.whole, change)), ContainsSubstring(change.place));
        fs::remove(spoiled.file); // the first of them is no change, and goes on
        for (const char* side : {".journal", ".previous", ".lock"}) fs::remove(spoiled.file.string() + side);
        go_on(formulas(2), spoiled.file);
    }
}

TEST_CASE("parameter sets outside their plugin's space are refused by field") {
    const Spoiled spoiled(parameters);
    CHECK(spoiled.read(spoiled.whole["run"]) == "(nothing)");
    const Change sets[] = {
        {"/population/0/values/0", "1e12", "population[0].values[0]"},
        {"/population/0/values/0", "2.5", "population[0].values[0]"},
        {"/population/0/values", "[1,2,3,4,5,6,7,8,9]", "population[0].values"},
        {"/population/0/scorer", "\"snapkv@seed:window=900\"", "population[0].scorer"},
        {"/population/0/scorer", "\"./mine.so\"", "population[0].scorer"},
        {"/population/0/scorer", "\"=recent_attn\"", "population[0].scorer"},
        {"/population/0/changed", "900", "population[0]"},
        {"/champions/0/values", "[]", "values"},
    };
    for (const Change& change : sets) {
        INFO(change.pointer << " " << change.value);
        CHECK_THAT(spoiled.resumed(changed(spoiled.whole, change)), ContainsSubstring(change.place));
    }
    const Change settings[] = {{"/config/start", "\"/tmp/mine.so@seed\"", "config.start"},
                               {"/config/archive", "0.5", "config.archive"}};
    for (const Change& change : settings) {
        INFO(change.pointer << " " << change.value);
        CHECK_THAT(spoiled.read(changed(spoiled.whole, change)), ContainsSubstring(change.place));
    }
}

TEST_CASE("each command says which field is wrong, and ends by itself") {
    const TemporaryFolder folder;
    const std::string evolve = "evictlab evolve --suite micro --patterns 1 --seq-len 16 --layers 1 --population 8 "
                               "--generations 1 --start recent_attn --quiet --state run.json";
    REQUIRE(shell(evolve, folder.path.string()).code == 0);
    const fs::path file = folder / "run.json";
    state::Document document = state::decode(bytes_of(file), file);
    document.run["population"][0]["island"] = 99;
    put(file, encode(document, file));
    const std::string before = bytes_of(file);
    for (const char* command : {"status run.json", "log run.json", "report --state run.json",
                                "export run.json --to formula", "evolve --state run.json --resume --generations 2"}) {
        INFO(command);
        const auto outcome = shell(std::string("evictlab ") + command, folder.path.string());
        CHECK(outcome.code == 1);
        CHECK_THAT(outcome.err, ContainsSubstring("run.json: population[0].island: 99 is no island of 1"));
        CHECK(bytes_of(file) == before);
    }
}
