// The JSON of a bench result: what is written, what is read back, and what is refused with which words.
// SPDX-License-Identifier: MIT
#include "report/bench_json.hpp"

#include <unistd.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <limits>
#include <random>

#include "report/bench_table.hpp"
#include "report/leaderboard_text.hpp"
#include "report/ranking.hpp"
#include "report/table.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/leaderboards.hpp"

namespace evictlab::report {
namespace {

SplitErrors errors(double a, double b) { return {{a, b}, (a + b) / 2, {}}; }

ScorecardRow row(const std::string& scorer, RowKind kind, const std::string& formula,
                 const BySplit<SplitErrors>& splits) {
    ScorecardRow made;
    made.scorer = scorer;
    made.kind = kind;
    made.formula = formula;
    made.splits = splits;
    return made;
}

Bench sample() {
    Bench bench;
    bench.suite = "micro";
    bench.suite_hash = "sha256:0123";
    bench.suite_parameters_json = R"({"name":"micro","seq_len":64,"seed_offset":7000})";
    bench.protocol = "rescore";
    bench.retentions = {0.5, 0.125};
    bench.rows = {
        row("h2o@seed", RowKind::plugin, "", {errors(0.4, 0.8), errors(0.1 + 0.2, 1.0 / 3), errors(0.5, 0.75)}),
        row("=recent_attn", RowKind::formula, "recent_attn", {errors(0.3, 0.7), errors(0.3, 0.6), errors(0.25, 0.5)}),
        row("oracle", RowKind::bound, "", {errors(0.1, 0.2), errors(0.1, 0.2), errors(0.125, 0.25)})};
    return bench;
}

/// One document a split but for valid, which has none; two measures; a row that overshoots with head budgets.
Bench captured() {
    Bench bench;
    bench.suite = "smollm2";
    bench.suite_hash = "sha256:4567";
    bench.suite_parameters_json = R"({"name":"smollm2"})";
    bench.protocol = "prefill";
    bench.measure = "output_error";
    bench.more_measures = {"attention_loss"};
    bench.retentions = {0.1, 0.5};
    bench.traces = {{{{"novel", "prose"}}, {}, {{"parser", "code"}}}};
    const auto of_document = [](double a, double b) { return SplitErrors{{a, b}, (a + b) / 2, {{a, b}}}; };
    const SplitErrors none;
    ScorecardRow wrapped = row("adakv(snapkv@kvpress)", RowKind::plugin, "",
                               {of_document(1.75, 0.25), none, of_document(1.0 / 3, 0.0625)});
    wrapped.more_splits = {{of_document(0.5, 0.25), none, of_document(0.1 + 0.2, 0.125)}};
    wrapped.retention_used = {std::vector{0.125, 0.5}, {}, std::vector{0.1171875, 0.5}};
    wrapped.uneven_budgets = true;
    wrapped.cost = ScoringCost{0.1 + 0.2, "Processor 3000, 2 threads"};
    bench.kv_bytes = 768;
    bench.sharing_layers = {{3, 30}, {2, 18}};
    bench.rows = {wrapped};
    return bench;
}

std::string reading(const Json& json) {
    try {
        bench_from_json(json, "bench.json");
    } catch (const Error& error) {
        return error.what();
    }
    return "accepted";
}

/// A bench's JSON with one place changed, read back: the message that it is refused with.
std::string refusal(const std::string& pointer, const Json& value, const Bench& bench = sample()) {
    Json json = to_json(bench);
    json[Json::json_pointer(pointer)] = value;
    return reading(json);
}

std::string refusal_without(const std::string& parent, const std::string& key) {
    Json json = to_json(sample());
    json[Json::json_pointer(parent)].erase(key);
    return reading(json);
}

/// As an evictlab of version 1 wrote the sample.
Json first_schema() {
    Json json = to_json(sample());
    json["schema"] = "evictlab-bench/1";
    for (const char* key : {"measure", "more_measures", "traces"}) json.erase(key);
    return json;
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
    CHECK(json["schema"] == "evictlab-bench/2");
    CHECK(json["measure"] == "attention_loss");
    CHECK(json["more_measures"].dump() == "[]");
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
    bench.traces.fill({{"a", ""}, {"b", ""}});
    for (auto& entry : bench.rows)
        for (auto& split : entry.splits) split.by_trace = {{0.1, 0.2}, {0.3, 0.4}};
    CHECK_FALSE(to_json(bench)["rows"][0]["splits"]["test"].contains("traces"));
    const Json json = to_json(bench, {.by_trace = true});
    CHECK(json["rows"][0]["splits"]["test"]["traces"].dump() == "[[0.1,0.2],[0.3,0.4]]");
    CHECK(bench_from_json(json, "x").rows[0].splits[2].by_trace == bench.rows[0].splits[2].by_trace);
}

TEST_CASE("a captured suite's JSON has every measure, its documents' errors and the retention really used") {
    const Json json = to_json(captured());
    CHECK(json["measure"] == "output_error");
    CHECK(json["more_measures"].dump() == R"(["attention_loss"])");
    CHECK(json["traces"].dump() ==
          R"({"train":[{"name":"novel","kind":"prose"}],"valid":[],"test":[{"name":"parser","kind":"code"}]})");
    const Json& written = json["rows"][0];
    CHECK(written["splits"]["train"].dump() == R"({"0.10":1.75,"0.50":0.25,"avg":1.0,"traces":[[1.75,0.25]]})");
    CHECK_FALSE(written["splits"].contains("valid"));
    CHECK(written["measures"]["attention_loss"]["train"]["traces"].dump() == "[[0.5,0.25]]");
    CHECK(written["retention_used"].dump() ==
          R"({"train":{"0.10":0.125,"0.50":0.5},"test":{"0.10":0.1171875,"0.50":0.5}})");
    CHECK(written["uneven_budgets"] == true);
    CHECK_FALSE(to_json(sample())["rows"][0].contains("uneven_budgets"));
}

TEST_CASE("a captured suite's result reads back to the same bits") {
    const Bench bench = captured();
    const Bench back = bench_from_json(parse_json(dump(to_json(bench)), "x"), "x");
    REQUIRE(back.rows.size() == 1);
    CHECK(back.more_measures == bench.more_measures);
    CHECK(back.traces[2][0].kind == "code");
    CHECK(back.rows[0].splits[2].by_retention == bench.rows[0].splits[2].by_retention);
    CHECK(back.rows[0].more_splits[0][2].by_trace == bench.rows[0].more_splits[0][2].by_trace);
    CHECK(back.rows[0].retention_used == bench.rows[0].retention_used);
    CHECK(back.rows[0].uneven_budgets);
    CHECK(back.kv_bytes == 768);
    CHECK(back.sharing_layers == bench.sharing_layers);
    CHECK(back.rows[0].cost->microseconds == 0.1 + 0.2);
    CHECK(back.rows[0].cost->measured_on == "Processor 3000, 2 threads");
    CHECK(std::isnan(back.rows[0].splits[1].average)); // no document, no figure
    CHECK(to_json(back) == to_json(bench));
}

TEST_CASE(
    "tables say among which layers model budgets are divided, and whether a protocol measures what scoring takes") {
    Bench bench = bench_from_json(to_json(captured()), "x");
    for (const Format format : {Format::table, Format::markdown})
        CHECK_THAT(
            render(bench, format),
            ContainsSubstring("Model budgets are divided among the 3 layers of 30 or 2 of 18 that the traces hold.\n"));
    bench.sharing_layers.clear();
    CHECK_FALSE(to_json(bench).contains("sharing_layers"));
    CHECK_THAT(render(bench, Format::table), !ContainsSubstring("divided") && ContainsSubstring("us: microseconds"));
    Rendering narrow;
    narrow.width = 40;
    CHECK_THAT(render(bench, Format::table, narrow), ContainsSubstring("No room for: kind, us") &&
                                                         !ContainsSubstring("us: microseconds") &&
                                                         ContainsSubstring("\nKV cache, bytes a token"));
    bench.rows[0].cost->microseconds = 1213.4;
    CHECK_THAT(render(bench, Format::csv), ContainsSubstring(",1213,"));
    bench.protocol = "rescore";
    bench.rows[0].cost.reset();
    CHECK_THAT(render(bench, Format::table),
               ContainsSubstring("What scoring takes is not measured under rescore. KV cache, bytes a token"));
}

TEST_CASE("a row's class is written, read back and refused where it contradicts itself") {
    Bench bench = captured();
    CHECK_FALSE(to_json(bench)["rows"][0].contains("class"));
    bench.rows[0].scorer_class = ScorerClass{.attention = 64, .head_budgets = true};
    const Json json = to_json(bench);
    CHECK(
        json["rows"][0]["class"].dump() ==
        R"({"reads":"q64","query_aware":true,"fused_attention":true,"passes":1,"calibrated":false,"budgets":"head"})");
    CHECK(bench_from_json(json, "x").rows[0].scorer_class == bench.rows[0].scorer_class);
    bench.rows[0].scorer_class = ScorerClass{.tensors = true, .layer_budgets = true, .passes = 2, .calibrated = true};
    CHECK(to_json(bench)["rows"][0]["class"]["query_aware"].is_null());
    CHECK(bench_from_json(to_json(bench), "x").rows[0].scorer_class == bench.rows[0].scorer_class);

    CHECK(refusal("/rows/0/class/reads", "everything", bench) ==
          "bench.json: rows[0].class.reads: expected what a scorer reads, as \"kv\", \"q64\", \"all q\" or \"all "
          "attn\", found \"everything\"");
    CHECK_THAT(refusal("/rows/0/class/reads", "q8", bench),
               ContainsSubstring("rows[0].class.query_aware: expected true, as \"reads\" is \"q8\""));
    CHECK_THAT(refusal("/rows/0/class/fused_attention", false, bench),
               ContainsSubstring("rows[0].class.fused_attention: expected true"));
    CHECK_THAT(refusal("/rows/0/class/passes", 0, bench), ContainsSubstring("expected 1 or 2, found 0"));
    CHECK_THAT(refusal("/rows/0/class/budgets", "none", bench), ContainsSubstring("rows[0].class.budgets"));
    CHECK_THAT(refusal("/rows/0/class/calibrated", 1, bench), ContainsSubstring("rows[0].class.calibrated"));
}

TEST_CASE("a result of the first schema still reads, as one of attention loss") {
    const Bench back = bench_from_json(first_schema(), "old.json");
    CHECK(back.measure == "attention_loss");
    CHECK(back.rows[0].splits[2].by_retention == sample().rows[0].splits[2].by_retention);
    Json mixed = first_schema();
    mixed["rows"][0]["uneven_budgets"] = true;
    CHECK(reading(mixed) == "bench.json: rows[0]: unexpected field \"uneven_budgets\"");
    mixed = first_schema();
    mixed["measure"] = "output_error";
    CHECK(reading(mixed) == "bench.json: the top: unexpected field \"measure\"");
}

TEST_CASE("a malformed result of a captured suite is refused with the field") {
    const auto refused = [](const std::string& pointer, const Json& value) {
        return refusal(pointer, value, captured());
    };
    CHECK(refused("/measure", "perplexity") == "bench.json: measure: expected \"attention_loss\" or \"output_error\" "
                                               "or \"predicted_kl\", found \"perplexity\"");
    CHECK(refused("/more_measures/0", "output_error") == "bench.json: more_measures[0]: this measure is there twice");
    CHECK(refused("/rows/0/splits/train/0.10", -0.5) ==
          "bench.json: rows[0].splits.train.0.10: expected a number from 0, found -0.5");
    CHECK(refused("/rows/0/measures/attention_loss/test/0.10", 1.75) ==
          "bench.json: rows[0].measures.attention_loss.test.0.10: expected a number from -1e-09 to 1.000000001, found "
          "1.75");
    CHECK(refused("/rows/0/splits/test/traces", Json::array()) ==
          "bench.json: rows[0].splits.test.traces: expected 1 lists, one a trace of the split, found 0");
    CHECK(refused("/rows/0/retention_used/test/0.10", 1.5) ==
          "bench.json: rows[0].retention_used.test.0.10: expected a number from 0 to 1.000000001, found 1.5");
    CHECK_THAT(refused("/rows/0/cost", Json::object()), ContainsSubstring("rows[0].cost"));
    CHECK_THAT(refused("/rows/0/cost/microseconds", -1), ContainsSubstring("rows[0].cost.microseconds: "));
    CHECK_THAT(refused("/kv_bytes", -1), ContainsSubstring("kv_bytes: "));
    CHECK(refused("/sharing_layers/0/layers", 31) ==
          "bench.json: sharing_layers[0]: expected from 1 to 30 layers of 30, found 31");
    CHECK_THAT(refused("/sharing_layers/1/layers", 0), ContainsSubstring("sharing_layers[1]: expected from 1"));
    CHECK_THAT(refused("/sharing_layers/1", Json::object()), ContainsSubstring("sharing_layers[1]"));
    CHECK_THAT(refused("/sources", {{"reconstruction", "sha256:0"}}), ContainsSubstring("sources.reconstruction"));
    CHECK(refused("/rows/0/uneven_budgets", 1) ==
          "bench.json: rows[0].uneven_budgets: expected true or false, found 1");
    CHECK(refused("/protocol", "rescore\n!id > FILE\n#") == "bench.json: protocol: expected \"rescore\" or \"prefill\" "
                                                            "or \"decode\", found \"rescore\\n!id > FILE\\n#\"");
    CHECK(refused("/suite/patterns", "$(id)") ==
          "bench.json: suite.patterns: expected a whole number up to 18446744073709551615, found \"$(id)\"");
    CHECK(refused("/suite/sliding_layers", "yes") ==
          "bench.json: suite.sliding_layers: expected true or false, found \"yes\"");
    CHECK(refused("/failures", Json::array({{{"plugin", "x"}, {"phase", "\x1b[2J"}, {"cause", ""}}})) ==
          "bench.json: failures[0].phase: expected \"find\" or \"load\" or \"create\" or \"score\" or \"budget\" or "
          "\"check\" or \"destroy\", found \"\\x1b[2J\"");
    CHECK(refused("/traces/test/0/kind", 1) == "bench.json: traces.test[0].kind: expected a text, found 1");
    CHECK(refused("/rows/0/measures", Json::object()) ==
          "bench.json: rows[0].measures: the field \"attention_loss\" is missing");
}

TEST_CASE("whatever figures a bench has, its JSON reads back to the same, and no row without figures has a rank") {
    std::mt19937 random(3);
    const auto figure = [&random] {
        constexpr double odd[] = {0, 1e300, 1e-300, 0.5, std::numeric_limits<double>::infinity(), std::nan("")};
        return random() % 3 == 0 ? odd[random() % 6] : static_cast<double>(random() % 1000) / 997;
    };
    const auto errors = [&](const Bench& bench, Split split) {
        SplitErrors out{std::vector<double>(bench.retentions.size(), 0), 0, {}};
        const std::size_t traces = bench.traces[static_cast<std::size_t>(split)].size();
        for (std::size_t t = 0; t < traces; ++t) {
            out.by_trace.emplace_back();
            for (double& mean : out.by_retention) {
                out.by_trace.back().push_back(figure());
                mean += out.by_trace.back().back() / static_cast<double>(traces);
            }
        }
        for (const double mean : out.by_retention) out.average += mean / static_cast<double>(bench.retentions.size());
        if (traces == 0) out = {std::vector<double>(bench.retentions.size(), std::nan("")), std::nan(""), {}};
        return out;
    };
    for (int run = 0; run < 300; ++run) {
        Bench bench = captured();
        bench.measure = "output_error";
        bench.more_measures = {"predicted_kl"};
        if (run % 3 == 0) bench.traces[0].clear();
        bench.rows.clear();
        for (const char* name : {"h2o@kvpress", "=mine", "adakv(snapkv@kvpress)", "random", "oracle"}) {
            ScorecardRow& row = bench.rows.emplace_back();
            row.scorer = name;
            row.kind = row.scorer == "oracle" ? RowKind::bound : RowKind::plugin;
            row.more_splits.resize(1);
            for (const Split split : all_splits) {
                row.splits[static_cast<std::size_t>(split)] = errors(bench, split);
                row.more_splits[0][static_cast<std::size_t>(split)] = errors(bench, split);
            }
        }
        const Json json = to_json(bench);
        const Bench back = bench_from_json(parse_json(dump(json), "x"), "x");
        CHECK(back.rows.size() + back.failures.size() == bench.rows.size());
        if (back.failures.empty()) CHECK(to_json(back) == json);
        for (const auto& [row, rank] : rank_rows(back.rows, back.retentions)) {
            CHECK((!rank || has_figures(judging_errors(*row))));
            if (rank) CHECK(rank_text(*row, rank) == std::to_string(*rank));
        }
        const auto tables = leaderboard_of(std::vector{LeaderboardInput{"x", back, std::nullopt}});
        CHECK_THAT(to_markdown(tables, Detail::whole), !ContainsSubstring("nan") && !ContainsSubstring("inf "));
        CHECK(Json::accept(dump(to_json(tables))));
    }
}

TEST_CASE("a row without any finite figure is a failure that the leaderboard names") {
    Bench bench = captured();
    ScorecardRow lost = bench.rows[0];
    lost.scorer = "lost";
    bench.rows.push_back(lost);
    for (const char* name : {"random", "oracle"}) {
        bench.rows.push_back(bench.rows[0]);
        bench.rows.back().scorer = name;
    }
    Json json = to_json(bench);
    json["rows"][1]["splits"] = Json::object();
    json["rows"][1]["measures"]["attention_loss"] = Json::object();
    const Bench back = bench_from_json(json, "x");
    CHECK(back.rows.size() == 3);
    REQUIRE(back.failures.size() == 1);
    CHECK(back.failures[0].plugin == "lost");
    const auto tables = leaderboard_of(std::vector{LeaderboardInput{"x", back, std::nullopt}});
    CHECK_THAT(
        to_markdown(tables, Detail::whole),
        ContainsSubstring("Without a row, as they broke:\n\n- `lost` in `score`: `none of its errors is a finite"));
    CHECK(to_json(tables)["suites"][0]["failures"][0]["plugin"] == "lost");
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
    CHECK(refusal("/schema", "evictlab-bench/3") ==
          "bench.json: schema: expected \"evictlab-bench/2\" or \"evictlab-bench/1\", found "
          "\"evictlab-bench/3\": write it again with `evictlab bench --format json`");
    CHECK(refusal("/suite/hash", 7) == "bench.json: suite.hash: expected a text, found 7");
    CHECK(refusal("/retentions", Json::array()) == "bench.json: retentions: expected 1 to 512 retentions");
    CHECK(refusal("/retentions/1", 0.5) == "bench.json: retentions[1]: this retention is there twice");
    CHECK(refusal("/retentions/1", 1.5) == "bench.json: retentions[1]: expected a number from 0 to 1, found 1.5");
    CHECK(refusal("/retentions/1", 0) == "bench.json: retentions[1]: expected a retention above 0");
    CHECK(refusal("/rows", "none") == "bench.json: rows: expected a list, found \"none\"");
    CHECK(refusal("/rows/0/kind", "tree") ==
          "bench.json: rows[0].kind: expected \"plugin\" or \"formula\" or \"bound\", found \"tree\"");
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
    Json without_valid = first_schema();
    without_valid["rows"][0]["splits"].erase("valid");
    CHECK(reading(without_valid) == "bench.json: rows[0].splits: the field \"valid\" is missing");
    CHECK(refusal_without("", "schema") == "bench.json: the top: the field \"schema\" is missing");
}

TEST_CASE("text that is no JSON, too deep or no object is refused with the place") {
    CHECK_THROWS_WITH(parse_json("{\"a\": 1,\n  oops}", "b.json"),
                      ContainsSubstring("b.json: not JSON: parse error at line 2, column 3"));
    CHECK_THROWS_WITH(parse_json("", "b.json"), ContainsSubstring("b.json: not JSON"));
    CHECK_THROWS_WITH(parse_json(std::string(100000, '['), "b.json"),
                      ContainsSubstring("b.json: nests deeper than 16 levels"));
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

TEST_CASE("tables say what a scorer reads where results say it") {
    Bench bench = sample();
    bench.rows[0].scorer_class = ScorerClass{.attention = all_history};
    bench.rows[1].scorer_class = ScorerClass{.attention = 33};
    CHECK_THAT(render(bench, Format::table), ContainsSubstring(" rank  scorer        kind     reads       test") &&
                                                 ContainsSubstring("    2  h2o@seed      plugin   all attn  0.6250") &&
                                                 ContainsSubstring("bound  oracle        bound              0.1875"));
    CHECK_THAT(render(bench, Format::markdown), ContainsSubstring("| rank | scorer | kind | reads | test |") &&
                                                    ContainsSubstring("| 1 | `=recent_attn` | formula | q33 |"));
    CHECK_THAT(render(bench, Format::csv), ContainsSubstring("rank,scorer,kind,overshoots,reads,test_avg,") &&
                                               ContainsSubstring(",2,h2o@seed,plugin,false,all attn,"));
}

TEST_CASE("CSV has every figure in full and quotes what needs it") {
    Bench bench = sample();
    bench.rows[1].formula = "max(1,2)";
    const std::string csv = render(bench, Format::csv);
    CHECK_THAT(csv, ContainsSubstring("suite,protocol,measure,split,documents,rank,scorer,kind,overshoots,test_avg,"
                                      "test_0.50,test_0.125,valid_avg,"));
    CHECK_THAT(csv, ContainsSubstring(",\"max(1,2)\"\n"));
    CHECK_THAT(csv, ContainsSubstring(",0.30000000000000004,"));
}

TEST_CASE("a table fits a terminal by fewer columns, then by shorter names, which stand below it") {
    Table table(
        {{"rank"}, {"scorer", CellKind::code}, {"kind", CellKind::text, 3}, {"error"}, {"more", CellKind::text, 2}});
    table.add({"1", "adakv@kvpress(snapkv@kvpress)", "plugin", "0.1", "0.5"}, RowTone::best);
    table.add({"2", "knorm", "plugin", "0.2", "0.6"});
    CHECK(table.fitted(80, false).text == table.text());
    const FittedTable fewer = table.fitted(50, false);
    CHECK(fewer.left_out == std::vector<std::string>{"kind"});
    CHECK(fewer.shortened.empty());
    CHECK(fewer.text == "rank  scorer                         error  more\n"
                        "1     adakv@kvpress(snapkv@kvpress)  0.1    0.5\n"
                        "2     knorm                          0.2    0.6\n");
    const FittedTable shorter = table.fitted(44, false);
    CHECK(shorter.text == "rank  scorer                     error  more\n"
                          "1     adakv@kvpress(snapkv@k...  0.1    0.5\n"
                          "2     knorm                      0.2    0.6\n");
    CHECK(shorter.shortened == std::vector<std::string>{"adakv@kvpress(snapkv@kvpress)"});
    CHECK(table.fitted(32, false).text == "rank  scorer               error\n"
                                          "1     adakv@kvpress(sn...  0.1\n"
                                          "2     knorm                0.2\n");
    CHECK_THAT(table.fitted(80, true).text, ContainsSubstring("\033[1mrank") && ContainsSubstring("\033[32m1     ") &&
                                                ContainsSubstring("\n2     knorm"));
}

TEST_CASE("cells survive quotes, pipes, other scripts and broken bytes") {
    Table table({{"name", CellKind::text}, {"code", CellKind::code}});
    table.add({"größe\x1b[31m", "a|b"});
    table.add({"層", "say \"hi\""});
    table.add({"bad\xff", "x`y"});
    CHECK(table.text() == "name           code\ngröße\\x1b[31m  a|b\n層             say \"hi\"\nbad\\xff        x`y\n");
    CHECK(table.markdown() == "| name | code |\n| --- | --- |\n| größe\\\\x1b[31m | `a\\|b` |\n| 層 | `say \"hi\"` |\n"
                              "| bad\\\\xff | `` x`y `` |\n");
    CHECK_THAT(table.csv(), ContainsSubstring("層,\"say \"\"hi\"\"\"\n"));
}

TEST_CASE("an unknown format is refused with the known ones") {
    CHECK(parse_format("csv") == Format::csv);
    CHECK_THROWS_AS(parse_format("xml"), UsageError);
    CHECK_THROWS_WITH(parse_format("xml"), "unknown format \"xml\"; there are table, json, markdown and csv");
}

} // namespace evictlab::report
