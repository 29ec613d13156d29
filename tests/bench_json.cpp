// The JSON of a bench result: what is written, what is read back, and what is refused with which words.
// SPDX-License-Identifier: MIT
#include "report/bench_json.hpp"

#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "report/bench_table.hpp"
#include "report/table.hpp"
#include "tests/support/catch.hpp"

namespace evictlab::report {
namespace {

SplitErrors errors(double a, double b) { return {{a, b}, (a + b) / 2, {}}; }

Bench sample() {
    Bench bench;
    bench.suite = "micro";
    bench.suite_hash = "sha256:0123";
    bench.suite_parameters_json = R"({"name":"micro","seq_len":64,"seed_offset":7000})";
    bench.protocol = "rescore";
    bench.retentions = {0.5, 0.125};
    bench.rows = {
        {"h2o@seed", RowKind::plugin, "", {errors(0.4, 0.8), errors(0.1 + 0.2, 1.0 / 3), errors(0.5, 0.75)}},
        {"=recent_attn", RowKind::formula, "recent_attn", {errors(0.3, 0.7), errors(0.3, 0.6), errors(0.25, 0.5)}},
        {"oracle", RowKind::bound, "", {errors(0.1, 0.2), errors(0.1, 0.2), errors(0.125, 0.25)}}};
    return bench;
}

/// The sample's JSON with one place changed, read back: the message that it is refused with.
std::string refusal(const std::string& pointer, const Json& value) {
    Json json = to_json(sample());
    json[Json::json_pointer(pointer)] = value;
    try {
        bench_from_json(json, "bench.json");
    } catch (const Error& error) {
        return error.what();
    }
    return "accepted";
}

std::string refusal_without(const std::string& parent, const std::string& key) {
    Json json = to_json(sample());
    json[Json::json_pointer(parent)].erase(key);
    try {
        bench_from_json(json, "bench.json");
    } catch (const Error& error) {
        return error.what();
    }
    return "accepted";
}

} // namespace

TEST_CASE("a retention is a key of two decimals or more that reads back") {
    CHECK(retention_key(0.25) == "0.25");
    CHECK(retention_key(0.5) == "0.50");
    CHECK(retention_key(0.1) == "0.10");
    CHECK(retention_key(0.125) == "0.125");
    CHECK(retention_key(1) == "1.00");
    CHECK(std::stod(retention_key(1.0 / 3)) == 1.0 / 3);
    CHECK(std::stod(retention_key(1e-30)) == 1e-30);
}

TEST_CASE("the JSON has the published layout") {
    const Json json = to_json(sample());
    CHECK(json["schema"] == "evictlab-bench/1");
    CHECK(json["suite"].dump() == R"({"name":"micro","hash":"sha256:0123","seq_len":64,"seed_offset":7000})");
    CHECK(json["protocol"] == "rescore");
    CHECK(json["retentions"].dump() == "[0.5,0.125]");
    CHECK(json["rows"][0]["scorer"] == "h2o@seed");
    CHECK(json["rows"][0]["kind"] == "plugin");
    CHECK_FALSE(json["rows"][0].contains("formula"));
    CHECK(json["rows"][0]["splits"]["test"].dump() == R"({"0.50":0.5,"0.125":0.75,"avg":0.625})");
    CHECK(json["rows"][1]["formula"] == "recent_attn");
    CHECK(json["rows"][2]["kind"] == "bound");
}

TEST_CASE("what is written reads back to the same bits") {
    const Bench bench = sample();
    const Bench back = bench_from_json(parse_json(dump(to_json(bench)), "x"), "x");
    CHECK(back.suite == bench.suite);
    CHECK(back.suite_hash == bench.suite_hash);
    CHECK(back.suite_parameters_json == bench.suite_parameters_json);
    CHECK(back.retentions == bench.retentions);
    REQUIRE(back.rows.size() == 3);
    for (std::size_t i = 0; i < 3; ++i) {
        CHECK(back.rows[i].scorer == bench.rows[i].scorer);
        CHECK(back.rows[i].kind == bench.rows[i].kind);
        CHECK(back.rows[i].formula == bench.rows[i].formula);
        for (std::size_t s = 0; s < 3; ++s) {
            CHECK(back.rows[i].splits[s].by_retention == bench.rows[i].splits[s].by_retention);
            CHECK(back.rows[i].splits[s].average == bench.rows[i].splits[s].average);
        }
    }
    CHECK(to_json(back) == to_json(bench));
}

TEST_CASE("errors of single traces are written only when asked for") {
    Bench bench = sample();
    for (auto& row : bench.rows)
        for (auto& split : row.splits) split.by_trace = {{0.1, 0.2}, {0.3, 0.4}};
    CHECK_FALSE(to_json(bench)["rows"][0]["splits"]["test"].contains("traces"));
    const Json json = to_json(bench, {.by_trace = true});
    CHECK(json["rows"][0]["splits"]["test"]["traces"].dump() == "[[0.1,0.2],[0.3,0.4]]");
    CHECK(bench_from_json(json, "x").rows[0].splits[2].by_trace == bench.rows[0].splits[2].by_trace);
}

TEST_CASE("scorers that broke are named") {
    Bench bench = sample();
    bench.failures.emplace_back("nan_scorer", "score", "NaN at layer 2, position 7");
    const Json json = to_json(bench);
    CHECK(json["failures"][0]["cause"] == "NaN at layer 2, position 7");
    const Bench back = bench_from_json(json, "x");
    REQUIRE(back.failures.size() == 1);
    CHECK(back.failures[0].plugin == "nan_scorer");
    CHECK(back.failures[0].phase == "score");
}

TEST_CASE("a malformed file is refused with file, field and what was expected") {
    CHECK(refusal("/protocol", "rescore") == "accepted");
    CHECK(refusal("/schema", "evictlab-bench/2") ==
          "bench.json: schema: expected \"evictlab-bench/1\", found \"evictlab-bench/2\": write it again with "
          "`evictlab bench --format json`");
    CHECK(refusal("/suite/hash", 7) == "bench.json: suite.hash: expected a text, found 7");
    CHECK(refusal("/retentions", Json::array()) == "bench.json: retentions: expected 1 to 64 retentions");
    CHECK(refusal("/retentions/1", 0.5) == "bench.json: retentions[1]: this retention is there twice");
    CHECK(refusal("/retentions/1", 1.5) == "bench.json: retentions[1]: expected a number from 0 to 1, found 1.5");
    CHECK(refusal("/retentions/1", 0) == "bench.json: retentions[1]: expected a retention above 0");
    CHECK(refusal("/rows", "none") == "bench.json: rows: expected a list, found \"none\"");
    CHECK(refusal("/rows/0/kind", "tree") ==
          "bench.json: rows[0].kind: expected \"plugin\", \"formula\" or \"bound\", found \"tree\"");
    CHECK(refusal("/rows/1/scorer", "h2o@seed") == "bench.json: rows[1]: a second row for the scorer \"h2o@seed\"");
    CHECK(refusal("/rows/0/splits/test/0.50", "0.5") ==
          "bench.json: rows[0].splits.test.0.50: expected a number, found \"0.5\"");
    CHECK(refusal("/rows/0/splits/test/0.50", 7) ==
          "bench.json: rows[0].splits.test.0.50: expected a number from -1e-09 to 1.000000001, found 7");
    CHECK(refusal("/rows/0/splits/test/avg", 0.5) ==
          "bench.json: rows[0].splits.test.avg: expected 0.625, the mean over the retentions, found 0.5");
    CHECK(refusal("/rows/0/splits/test/0.75", 0.5) == "bench.json: rows[0].splits.test: unexpected field \"0.75\"");
    CHECK(refusal("/rows/0/splits/sealed", Json::object()) ==
          "bench.json: rows[0].splits: unexpected field \"sealed\"");
    CHECK(refusal_without("/rows/0/splits/test", "0.125") ==
          "bench.json: rows[0].splits.test: the field \"0.125\" is missing");
    CHECK(refusal_without("/rows/0/splits", "valid") == "bench.json: rows[0].splits: the field \"valid\" is missing");
    CHECK(refusal_without("", "schema") == "bench.json: the top: the field \"schema\" is missing");
}

TEST_CASE("text that is no JSON, too deep or no object is refused with the place") {
    CHECK_THROWS_WITH(parse_json("{\"a\": 1,\n  oops}", "b.json"),
                      ContainsSubstring("b.json: not JSON: parse error at line 2, column 3"));
    CHECK_THROWS_WITH(parse_json("", "b.json"), ContainsSubstring("b.json: not JSON"));
    CHECK_THROWS_WITH(parse_json(std::string(100000, '['), "b.json"), "b.json: nested more than 16 levels deep");
    CHECK_THROWS_WITH(parse_json("[1e999]", "b.json"), ContainsSubstring("b.json: not JSON"));
    CHECK_THROWS_WITH(bench_from_json(Json(3), "b.json"), "b.json: the top: expected an object, found 3");
}

TEST_CASE("files that cannot be read are refused with the reason") {
    const auto folder = std::filesystem::temp_directory_path();
    CHECK_THROWS_WITH(read_bench(folder / "no-such-bench.json"), ContainsSubstring("No such file"));
    CHECK_THROWS_WITH(read_bench(folder), ContainsSubstring("is a folder"));
    const auto file = folder / ("evictlab-large-" + std::to_string(::getpid()) + ".json");
    std::ofstream(file) << std::string(3000, ' ');
    CHECK_THROWS_WITH(read_text(file, 2048), ContainsSubstring("larger than"));
    CHECK(read_text(file, 3000).size() == 3000);
    std::filesystem::remove(file);
}

TEST_CASE("a table is aligned, best first, the oracle as a bound") {
    CHECK(render(sample(), Format::table) == " rank  scorer        kind       test   @0.50  @0.125   valid   train\n"
                                             "bound  oracle        bound    0.1875  0.1250  0.2500  0.1500  0.1500\n"
                                             "    1  =recent_attn  formula  0.3750  0.2500  0.5000  0.4500  0.5000\n"
                                             "    2  h2o@seed      plugin   0.6250  0.5000  0.7500  0.3167  0.6000\n");
}

TEST_CASE("CSV has every figure in full and quotes what needs it") {
    Bench bench = sample();
    bench.rows[1].formula = "max(1,2)";
    const std::string csv = render(bench, Format::csv);
    CHECK_THAT(csv, ContainsSubstring("rank,scorer,kind,test_avg,test_0.50,test_0.125,valid_avg,"));
    CHECK_THAT(csv, ContainsSubstring(",\"max(1,2)\"\n"));
    CHECK_THAT(csv, ContainsSubstring(",0.30000000000000004,"));
}

TEST_CASE("cells survive quotes, pipes, other scripts and broken bytes") {
    Table table({{"name", CellKind::text}, {"code", CellKind::code}});
    table.add({"größe\x1b[31m", "a|b"});
    table.add({"層", "say \"hi\""});
    table.add({"bad\xff", "x`y"});
    CHECK(table.text() == "name        code\ngröße [31m  a|b\n層          say \"hi\"\nbad\xEF\xBF\xBD        x`y\n");
    CHECK(table.markdown() == "| name | code |\n| --- | --- |\n| größe [31m | `a\\|b` |\n| 層 | `say \"hi\"` |\n"
                              "| bad\xEF\xBF\xBD | `` x`y `` |\n");
    CHECK_THAT(table.csv(), ContainsSubstring("層,\"say \"\"hi\"\"\"\n"));
    CHECK(display_width("é") == 1);
    CHECK(display_width("e\u0301") == 1);
    CHECK(display_width("層") == 2);
}

TEST_CASE("an unknown format is refused with the known ones") {
    CHECK(parse_format("csv") == Format::csv);
    CHECK_THROWS_AS(parse_format("xml"), UsageError);
    CHECK_THROWS_WITH(parse_format("xml"), "unknown format \"xml\"; there are table, json, markdown and csv");
}

} // namespace evictlab::report
