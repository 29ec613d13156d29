// Runs inside an engine in a report: what is read, how documents become one table, and what is refused.
// SPDX-License-Identifier: MIT
#include <cmath>

#include "report/engine.hpp"

#include "report/leaderboard_text.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/leaderboards.hpp"
#include "tests/support/process.hpp"
#include "tests/support/temporary_folder.hpp"

namespace evictlab::report {
namespace {

Json seconds(double cpu) { return {{"wall_seconds", 2 * cpu}, {"cpu_seconds", cpu}}; }

Json row(const std::string& scorer, double retention, double kl) {
    return {{"scorer", scorer},
            {"hash", "0"},
            {"cache", {{"cells", 25}, {"bytes", 1 << 20}, {"capacity", 256}, {"allocated_bytes", 4 << 20}}},
            {"evictions", 1},
            {"kl", kl},
            {"perplexity", 10 + kl},
            {"top1_agreement", 0.75},
            {"token_median", seconds(0.01)},
            {"scoring", seconds(kl)},
            {"rewriting", seconds(0.002)},
            {"retention", retention}};
}

/// As evictlab-llama writes it; `kl` of a row at 0.25, a tenth of it at 0.5.
Json engine_json(const std::string& document, double kl) {
    return {
        {"format", "evictlab-llama/1"},
        {"evictlab", "1.0.0"},
        {"llama", "0.5.0"},
        {"model", {{"file", "Small.gguf"}, {"sha256", "ab"}, {"description", "llama"}, {"layers", 3}}},
        {"cache_type", "f16"},
        {"granularity", "head"},
        {"document", document},
        {"prompt_tokens", 100},
        {"continuation_tokens", 20},
        {"continuation", "text"},
        {"threads", 1},
        {"full",
         {{"cache", {{"cells", 100}, {"bytes", 4 << 20}}},
          {"perplexity", 10},
          {"prompt", seconds(1)},
          {"token_median", seconds(0.02)}}},
        {"rows", {row("snapkv@kvpress", 0.25, kl), row("snapkv@kvpress", 0.5, kl / 10), row("random", 0.25, 4 * kl)}},
        {"peak_memory_bytes", 1}};
}

std::vector<EngineTable> tables_of(const std::vector<Json>& files) {
    std::vector<EngineRun> runs;
    for (const Json& json : files)
        runs.push_back(engine_run_from_json(json, json["document"].get<std::string>() + ".json"));
    return engine_tables(runs);
}

std::string refusal(const std::string& pointer, const Json& value) {
    Json json = engine_json("emma", 0.2);
    json[Json::json_pointer(pointer)] = value;
    try {
        engine_run_from_json(json, "emma.json");
    } catch (const Error& error) {
        return error.what();
    }
    return "accepted";
}

} // namespace

TEST_CASE("documents of one setting are one table of means and medians") {
    const auto tables = tables_of({engine_json("emma", 0.1), engine_json("walden", 0.4), engine_json("vim", 0.2)});
    REQUIRE(tables.size() == 1);
    const EngineTable& table = tables[0];
    CHECK(table.documents == std::vector<std::string>{"emma", "walden", "vim"});
    REQUIRE(table.rows.size() == 3);
    CHECK(table.rows[0].figures.kl == Approx(0.2)); // the cube root of 0.1 * 0.4 * 0.2
    CHECK(table.rows[1].figures.kl == Approx(0.02));
    CHECK(table.rows[0].figures.perplexity == Approx(std::cbrt(10.1 * 10.4 * 10.2)));
    CHECK(table.rows[0].figures.scoring_cpu == Approx(0.2)); // the middle one
    CHECK(table.rows[2].figures.agreement == Approx(0.75));
    CHECK(table.rows[1].name.retention == 0.5);
    CHECK(table.full.perplexity == Approx(10));
}

TEST_CASE("runs of another model, cache, shape, budget or scorer stand by themselves") {
    const auto two = [](const std::string& pointer, const Json& value) {
        Json other = engine_json("walden", 0.4);
        other[Json::json_pointer(pointer)] = value;
        return tables_of({engine_json("emma", 0.1), other}).size();
    };
    CHECK(two("/llama", "0.5.0") == 1);
    for (const auto& [pointer, value] :
         std::vector<std::pair<std::string, Json>>{{"/llama", "0.6.0"},
                                                   {"/model/sha256", "cd"},
                                                   {"/cache_type", "f32"},
                                                   {"/granularity", "model"},
                                                   {"/shape", {{"granularity", "head"}, {"block", 16}}},
                                                   {"/prompt_tokens", 99},
                                                   {"/every", 8},
                                                   {"/rows/0/retention", 0.3},
                                                   {"/rows/2/scorer", "tova@kvpress"}}) {
        INFO(pointer);
        CHECK(two(pointer, value) == 2);
    }
    CHECK_THROWS_WITH(tables_of({engine_json("emma", 0.1), engine_json("emma", 0.4)}),
                      ContainsSubstring("emma.json: of the document \"emma\", as is emma.json"));
}

TEST_CASE("a table says what it is of, and stands beside the model's own verdict") {
    const auto tables = tables_of({engine_json("emma", 0.1), engine_json("walden", 0.4)});
    const std::string text = to_markdown({}, Detail::whole, {}, tables);
    CHECK_THAT(text, ContainsSubstring("### `Small.gguf` in llama.cpp 0.5.0\n"));
    CHECK_THAT(text,
               ContainsSubstring("Prompts of 100 tokens (2 documents), judged along 20 tokens of the text; cache in "
                                 "f16; a set for each KV head."));
    CHECK_THAT(text, ContainsSubstring("| scorer | keeps | KL | perplexity | same token | cells | MiB | tokens a s |"));
    CHECK_THAT(text, ContainsSubstring("| `(no eviction)` |  |  | 10.00 |  | 100 | 4.00 | 50.0 |  |  |"));
    CHECK_THAT(text, ContainsSubstring("| `snapkv@kvpress` | 0.25 | 0.2000 | "));
    CHECK_THAT(text, ContainsSubstring("75.0 % | 25 | 1.00 | 100.0 | 0.250 | 0.002 |"));
    CHECK_THAT(text, ContainsSubstring("too few to tell rows apart"));
    CHECK(to_markdown({}, Detail::headline, {}, tables).find("Small.gguf") == std::string::npos);

    const Json verdict{{"schema", "evictlab-verdict/1"},
                       {"suite", {{"name", "smollm2"}, {"hash", "sha256:cc"}}},
                       {"model", "Small"},
                       {"protocol", "prefill"},
                       {"retentions", {0.1, 0.25}},
                       {"documents", {{{"name", "vim"}, {"kind", "manual"}, {"split", "test"}}}},
                       {"rows", {{{"scorer", "snapkv@kvpress"}, {"kl", {{0.7, 0.3}}}, {"delta_nll", {{0.1, 0.1}}}}}}};
    const std::vector<VerdictInput> verdicts{{"verdict.json", verdict_from_json(verdict, "verdict.json")}};
    const auto beside = leaderboard_of({}, verdicts);
    const std::string both = to_markdown(beside, Detail::whole, {}, tables);
    CHECK_THAT(both, ContainsSubstring("| scorer | keeps | KL | KL, Small | perplexity |"));
    CHECK_THAT(both, ContainsSubstring("| `snapkv@kvpress` | 0.25 | 0.2000 | 0.3000 | "));
    CHECK_THAT(both, ContainsSubstring("| `random` | 0.25 | 0.8000 |  | "));
    Json model = engine_json("emma", 0.1); // another shape than the verdict's
    model["shape"] = {{"granularity", "model"}, {"join", "rank"}, {"block", 1}, {"sinks", 0}, {"recent", 0}};
    CHECK_THAT(to_markdown(beside, Detail::whole, {}, tables_of({model})), !ContainsSubstring("KL, Small |"));

    const Json written = to_json(beside, tables)["engines"][0];
    CHECK(written["documents"].size() == 2);
    CHECK(written["rows"][0]["retention"] == 0.25);
    CHECK(written["rows"][0]["kl"].get<double>() == Approx(0.2));
    CHECK_FALSE(to_json(beside).contains("engines"));
}

TEST_CASE("files of before rows said their budget have the cells that were kept") {
    Json json = engine_json("emma", 0.1);
    for (Json& each : json["rows"]) each.erase("retention");
    json["rows"].erase(1);
    CHECK(tables_of({json})[0].rows[0].name.keep == 25);
    json["cache"] = 32;
    json["every"] = 8;
    CHECK_THAT(to_markdown({}, Detail::whole, {}, tables_of({json})),
               ContainsSubstring("goes through 32 cells, 8 tokens at a time") && ContainsSubstring("| 32 tokens |"));
}

TEST_CASE("a run that is malformed is refused with file and field") {
    CHECK(refusal("/format", "evictlab-llama/9") ==
          "emma.json: format: expected \"evictlab-llama/1\", found \"evictlab-llama/9\": write it with `evictlab-llama "
          "--json`");
    CHECK(refusal("/rows", Json::array()) == "emma.json: rows: expected at least one row");
    CHECK(refusal("/rows/1/retention", 0.25) ==
          "emma.json: rows[1]: a second row for the scorer \"snapkv@kvpress\" with this budget");
    CHECK(refusal("/rows/1/keep", 5) == "emma.json: rows[1]: expected a retention or a number to keep, found both");
    for (const auto& [pointer, value] : std::vector<std::pair<std::string, Json>>{{"/rows/0/kl", -1},
                                                                                  {"/rows/0/kl", nullptr},
                                                                                  {"/rows/0/top1_agreement", 2},
                                                                                  {"/rows/0/cache/cells", "many"},
                                                                                  {"/rows/0/scoring/cpu_seconds", -1},
                                                                                  {"/rows/0/scorer", ""},
                                                                                  {"/model/file", ""},
                                                                                  {"/continuation", "mine"},
                                                                                  {"/shape", {{"grain", 1}}},
                                                                                  {"/full/perplexity", "x"}}) {
        INFO(pointer);
        CHECK_THAT(refusal(pointer, value), ContainsSubstring("emma.json: "));
    }
    CHECK_THAT(refusal("/granularity", "heads"), ContainsSubstring("did you mean 'head'?"));
}

TEST_CASE("evictlab report takes runs inside an engine by themselves") {
    const test::TemporaryFolder folder;
    test::put(folder / "emma.json", engine_json("emma", 0.1).dump());
    test::put(folder / "walden.json", engine_json("walden", 0.4).dump());
    const std::string command = "evictlab report --engine emma.json --engine walden.json";
    const test::Outcome outcome = test::shell(command, folder.path.string());
    INFO(outcome.err);
    CHECK(outcome.code == 0);
    CHECK_THAT(outcome.out, ContainsSubstring("### `Small.gguf` in llama.cpp 0.5.0"));
    CHECK(test::shell(command + " --output board.json", folder.path.string()).code == 0);
    CHECK(Json::parse(test::bytes_of(folder / "board.json"))["engines"][0]["rows"].size() == 3);
    for (const char* other : {" --output board.html", " --headline --verdict emma.json"})
        CHECK_THAT(test::shell(command + other, folder.path.string()).err, ContainsSubstring("leave --engine out"));
    const test::Outcome none = test::shell("evictlab report --engine none.json", folder.path.string());
    CHECK(none.code != 0);
    CHECK_THAT(none.err, ContainsSubstring("none.json"));
}

} // namespace evictlab::report
