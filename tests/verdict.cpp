// The model's own verdict: what is read, how it is summed up, where it stands in a leaderboard, and what is refused.
// SPDX-License-Identifier: MIT
#include "report/verdict.hpp"

#include <cmath>

#include "report/leaderboard_text.hpp"
#include "report/verdict_text.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/leaderboards.hpp"
#include "tests/support/made_benches.hpp"

namespace evictlab::report {
namespace {

/// A KL divergence of a row on every document, at 0.1 and, a tenth of it, at 0.5; times the document's difficulty.
Json row(const std::string& scorer, double kl) {
    Json json{
        {"scorer", scorer}, {"kl", Json::array()}, {"delta_nll", Json::array()}, {"retention_used", {0.0996, 0.5}}};
    for (const double difficulty : made_difficulty) {
        json["kl"].push_back({kl * difficulty, kl * difficulty / 10});
        json["delta_nll"].push_back({kl / 2, -kl / 20});
    }
    return json;
}

Json verdict_json() {
    Json json{{"schema", "evictlab-verdict/1"},
              {"suite", {{"name", "smollm2"}, {"hash", "sha256:cc"}}},
              {"model", "SmolLM2-135M-Instruct"},
              {"protocol", "prefill"},
              {"retentions", {0.1, 0.5}},
              {"documents", Json::array()},
              {"rows",
               {row("tova@kvpress", 0.4), row("snapkv@kvpress", 0.2), row("=mine", 0.1), row("oracle", 0.02),
                row("adakv(snapkv@kvpress)", 0.1)}},
              {"captured_with", "a field of a later version"}};
    json["rows"][0]["summary"] = {{{"retention", 0.1}, {"ratio", nullptr}}}; // as files of earlier tools have it
    for (const auto& document : made_documents)
        json["documents"].push_back({{"name", document.name}, {"kind", document.kind}, {"split", "test"}});
    return json;
}

std::vector<LeaderboardTable> tables_of(const Json& json) {
    const std::vector<LeaderboardInput> inputs{{"made.json", made_bench_with_budgets(), std::nullopt}};
    const std::vector<VerdictInput> verdicts{{"verdict.json", verdict_from_json(json, "verdict.json")}};
    return leaderboard_of(inputs, verdicts);
}

std::string refusal(const std::string& pointer, const Json& value) {
    Json json = verdict_json();
    json[Json::json_pointer(pointer)] = value;
    try {
        tables_of(json);
    } catch (const Error& error) {
        return error.what();
    }
    return "accepted";
}

const VerdictTableRow& find(const VerdictTable& table, const std::string& scorer) {
    for (const auto& candidate : table.rows)
        if (candidate.scorecard.scorer == scorer) return candidate;
    throw std::runtime_error("no row " + scorer);
}

} // namespace

TEST_CASE("documents are summed up by the geometric mean, and beside it the arithmetic one") {
    const auto table = tables_of(verdict_json()).at(0).verdicts.at(0);
    const auto& tova = find(table, "tova@kvpress");
    const double geometric = std::pow(1 * 2 * 1 * 4 * 2 * 2, 1.0 / 6);
    REQUIRE(tova.figures.size() == 3);
    CHECK(tova.figures[1].geometric == Approx(0.4 * geometric));
    CHECK(tova.figures[1].arithmetic == Approx(0.4 * 2));
    CHECK(tova.figures[2].geometric == Approx(0.04 * geometric));
    CHECK(tova.figures[0].geometric == Approx(0.4 * geometric / std::sqrt(10)));
    CHECK(tova.figures[0].arithmetic == Approx(0.44));
    CHECK(tova.figures[2].delta_nll == Approx(-0.02));
    REQUIRE(table.kinds.size() == 3);
    CHECK(table.kinds[0].name == "prose");
    CHECK(tova.kinds[0][1].geometric == Approx(0.4 * std::cbrt(1 * 2 * 2)));
    CHECK(tova.kinds[2][1].geometric == Approx(1.6)); // the one list
}

TEST_CASE("rows are compared with the best published row of uniform budgets") {
    const auto table = tables_of(verdict_json()).at(0).verdicts.at(0);
    CHECK(table.best_of({}) == std::vector<std::string>(3, "snapkv@kvpress"));
    CHECK(find(table, "=mine").figures[1].ratio->value == Approx(0.5));
    CHECK(find(table, "=mine").figures[1].ratio->interval->high == Approx(0.5)); // the same on every document
    CHECK(find(table, "=mine").figures[1].win);
    CHECK(find(table, "tova@kvpress").figures[0].ratio->value == Approx(2));
    CHECK_FALSE(find(table, "tova@kvpress").figures[0].win);
    CHECK(find(table, "adakv(snapkv@kvpress)").figures[1].uniform_ratio->value == Approx(0.5));
    CHECK_FALSE(find(table, "adakv(snapkv@kvpress)").figures[1].win); // other budgets: no contest
    CHECK_FALSE(find(table, "oracle").figures[1].win);
    std::vector<std::pair<std::string, std::optional<std::size_t>>> order;
    for (const auto& entry : table.rows) order.emplace_back(entry.scorecard.scorer, entry.rank);
    CHECK(order == decltype(order){{"oracle", std::nullopt},
                                   {"=mine", 1},
                                   {"snapkv@kvpress", 2},
                                   {"tova@kvpress", 3},
                                   {"adakv(snapkv@kvpress)", 1}});
}

TEST_CASE("rows of each kind of budgets and number of passes are compared with the best published one of their own") {
    Json json = verdict_json();
    const auto add = [&](const std::string& scorer, double kl, const char* budgets, unsigned passes) {
        Json& made = json["rows"].emplace_back(row(scorer, kl));
        made["class"] = {{"reads", passes == 2 ? "2nd pass" : "kv"},
                         {"passes", passes},
                         {"calibrated", false},
                         {"budgets", budgets}};
        if (budgets != std::string("uniform")) made["uneven_budgets"] = true;
    };
    // Each of them would win against, or beat, the best row of another class.
    add("layer_defensivekv@paper", 0.08, "model", 1);
    add("=my_model_row", 0.07, "model", 1); // no formula divides a model's budget; the file says what it is
    add("kvzip@kvpress", 0.04, "model", 2);
    add("kvzip_plus@kvpress", 0.05, "model", 2);
    add("=reconstruction_attn", 0.03, "uniform", 2);
    add("my_second_pass", 0.06, "model", 2);
    const std::vector<VerdictInput> alone{{"verdict.json", verdict_from_json(json, "verdict.json")}};
    const auto tables = leaderboard_of({}, alone);
    const VerdictTable& table = tables.at(0).verdicts.at(0);
    CHECK(table.best_of({}) == std::vector<std::string>(3, "snapkv@kvpress"));
    CHECK(table.best_of({BudgetKind::model}) == std::vector<std::string>(3, "layer_defensivekv@paper"));
    CHECK(table.best_of({BudgetKind::model, true}) == std::vector<std::string>(3, "kvzip@kvpress"));
    CHECK(table.best_of({BudgetKind::uniform, true}) == std::vector<std::string>(3, ""));
    CHECK(find(table, "=my_model_row").figures[1].ratio->value == Approx(0.07 / 0.08));
    CHECK(find(table, "=my_model_row").figures[1].win);
    CHECK(find(table, "=my_model_row").figures[1].uniform_ratio->value == Approx(0.07 / 0.2));
    CHECK_FALSE(find(table, "kvzip_plus@kvpress").figures[1].win);
    CHECK(find(table, "kvzip_plus@kvpress").figures[1].ratio->value == Approx(1.25));
    CHECK_FALSE(find(table, "my_second_pass").figures[1].win); // half of the best one-pass row's: no contest
    CHECK_FALSE(find(table, "=reconstruction_attn").figures[1].ratio.has_value());
    CHECK_FALSE(find(table, "=reconstruction_attn").figures[1].win);
    CHECK(find(table, "=reconstruction_attn").figures[1].uniform_ratio->value == Approx(0.15));
    CHECK(find(table, "=mine").figures[1].win); // against snapkv, whatever two passes do
    for (const char* first : {"=mine", "=my_model_row", "=reconstruction_attn", "kvzip@kvpress"})
        CHECK(find(table, first).rank == 1);

    const std::string text = to_markdown(tables);
    CHECK_THAT(text, ContainsSubstring("With two passes over the prompt (ranked and compared among themselves):"));
    CHECK_THAT(text, ContainsSubstring("| rank | scorer | budgets | reads | KL all | ratio all | to one pass all |"));
    CHECK_THAT(text,
               ContainsSubstring("| 2 | `kvzip_plus@kvpress` | model | 2nd pass | 0.0282 / 0.0550 | 1.25 [1.25, 1.25] "
                                 "| 0.25 [0.25, 0.25] |"));
    CHECK_THAT(text,
               ContainsSubstring("| 1 | `=reconstruction_attn` | uniform | 2nd pass | 0.0169 / 0.0330 | n/a | 0.15 "));
    CHECK_THAT(text, ContainsSubstring("with model budgets and two passes (all: `kvzip@kvpress`, "));
    const Json written = to_json(tables)["suites"][0]["verdicts"][0];
    CHECK(written["best_published"]["0.10"] == "snapkv@kvpress");
    CHECK(written["best_published_by_class"]["model, two passes"]["0.10"] == "kvzip@kvpress");
    CHECK(written["best_published_by_class"]["uniform, two passes"]["0.10"].is_null());
    for (const Json& each : written["rows"]) {
        if (each["scorer"] != "=my_model_row") continue;
        CHECK(each["compared_as"] == "model");
        CHECK(each["figures"]["0.10"]["ratio"].get<double>() == Approx(0.35)); // to one pass and uniform budgets
        CHECK(each["figures"]["0.10"]["class_ratio"].get<double>() == Approx(0.875));
        CHECK(each["figures"]["0.10"]["win"] == true);
    }

    const std::string headline = to_markdown(tables, Detail::headline);
    CHECK_THAT(headline, ContainsSubstring("| `kvzip@kvpress` | model, two passes | 2nd pass | 0.0713 (1) |"));
    CHECK_THAT(headline, ContainsSubstring("| `=my_model_row` | model | kv | 0.1247 (0.88 [0.88, 0.88]) win |"));
    CHECK_THAT(headline, ContainsSubstring("| `layer_defensivekv@paper` | model | "));
    CHECK_THAT(headline, ContainsSubstring("| `=reconstruction_attn` | uniform, two passes | 2nd pass | 0.0535 |"));
    CHECK_THAT(headline, ContainsSubstring("of those with the same budgets and as many passes"));
    for (const char* left_out : {"`kvzip_plus@kvpress`", "`my_second_pass`"})
        CHECK_THAT(headline, !ContainsSubstring(left_out));
}

TEST_CASE("verdicts that say no class have that of the plugins, or of the bench beside them") {
    Json json = verdict_json();
    json["rows"].push_back(row("kvzip@kvpress", 0.01));
    json["rows"].back()["uneven_budgets"] = true; // all that a file said before classes
    json["rows"].push_back(row("=reconstruction_attn + key_norm", 0.01));
    json["rows"].push_back(row("kvzip@elsewhere", 0.01)); // of no plugin here
    const std::vector<VerdictInput> alone{{"verdict.json", verdict_from_json(json, "verdict.json")}};
    const auto tables = leaderboard_of({}, alone);
    const VerdictTable& table = tables.at(0).verdicts.at(0);
    CHECK(table_class(find(table, "kvzip@kvpress").scorecard) == TableClass{BudgetKind::model, true});
    CHECK(table_class(find(table, "=reconstruction_attn + key_norm").scorecard) ==
          TableClass{BudgetKind::uniform, true});
    CHECK(table_class(find(table, "kvzip@elsewhere").scorecard) == TableClass{});
    CHECK(table.best_of({}) == std::vector<std::string>(3, "snapkv@kvpress"));
}

TEST_CASE("a verdict shows what its rows cost, what they read beside the suite, and which layers share model budgets") {
    Json json = verdict_json();
    json["kv_bytes"] = 768;
    json["sharing_layers"] = {{{"layers", 3}, {"of", 18}}};
    json["sources"]["reconstruction"] = "sha256:" + std::string(64, 'a');
    json["rows"][1]["cost"] = {{"microseconds", 1.25}, {"measured_on", "Processor 3000, 1 thread"}};
    const std::vector<VerdictInput> input{{"verdict.json", verdict_from_json(json, "verdict.json")}};
    const std::string text = to_markdown(leaderboard_of({}, input));
    CHECK_THAT(text, ContainsSubstring("| ratio 0.50 | us |\n"));
    CHECK_THAT(text, ContainsSubstring("| 0.0356 / 0.0400 | best published | 1.25 |\n"));
    CHECK_THAT(text,
               ContainsSubstring("by the clock, on `Processor 3000, 1 thread`. KV cache, bytes a token of the text and "
                                 "layer: 768, at 0.10 76.8, at 0.50 384."));
    CHECK_THAT(text,
               ContainsSubstring("Model budgets are divided among the 3 layers of 18 that have no sliding window."));
    const Json written = to_json(leaderboard_of({}, input))["suites"][0]["verdicts"][0];
    CHECK(written["kv_bytes"] == 768);
    CHECK(written["sources"] == json["sources"]);
    CHECK(written["sharing_layers"] == json["sharing_layers"]);
    for (const Json& each : written["rows"]) CHECK(each.contains("cost") == (each["scorer"] == "snapkv@kvpress"));
    // A bench's cost is of another run.
    Bench bench = made_bench_with_budgets();
    for (ScorecardRow& each : bench.rows) each.cost = ScoringCost{99, "elsewhere"};
    const std::vector<LeaderboardInput> beside{{"made.json", bench, std::nullopt}};
    CHECK(find(leaderboard_of(beside, input).at(0).verdicts.at(0), "snapkv@kvpress").scorecard.cost->microseconds ==
          1.25);
    CHECK_FALSE(find(leaderboard_of(beside, input).at(0).verdicts.at(0), "=mine").scorecard.cost);
}

TEST_CASE("a verdict's table fits a terminal, and what has no room is named") {
    const auto table = tables_of(verdict_json()).at(0).verdicts.at(0);
    const std::string text = verdict_to_text(table, 80, false), rows = text.substr(0, text.find("No room for: "));
    REQUIRE(rows.size() < text.size());
    for (std::size_t begin = 0, end; (end = rows.find('\n', begin)) != rows.npos; begin = end + 1)
        CHECK(end - begin <= 80);
    CHECK_THAT(rows, ContainsSubstring("KL all") && ContainsSubstring("ratio all") &&
                         ContainsSubstring("snapkv@kvpress") && !ContainsSubstring("KL 0."));
    CHECK_THAT(text, ContainsSubstring("KL 0.") && ContainsSubstring("lower is better"));
    CHECK_THAT(verdict_to_text(table, 1000, false), !ContainsSubstring("No room for"));
}

TEST_CASE("a row that keeps more than asked is no yardstick of a verdict") {
    Json json = verdict_json();
    json["rows"][1]["retention_used"] = {0.2, 0.5};
    const auto table = tables_of(json).at(0).verdicts.at(0);
    CHECK(table.best_of({}) == std::vector<std::string>(3, "tova@kvpress"));
    CHECK_FALSE(find(table, "snapkv@kvpress").rank.has_value());
    CHECK_FALSE(find(table, "snapkv@kvpress").figures[0].win);
}

TEST_CASE("a verdict while decoding says its schedule, and caches may hold what that allows") {
    Json json = verdict_json();
    json["protocol"] = "decode";
    json["decode"] = {{"schedule", "slack:128"}, {"text", "given"}, {"allowed", {0.2, 0.6}}};
    json["rows"][1]["retention_used"] = {0.2, 0.6};
    json["rows"][0]["retention_used"] = {0.2, 0.7};
    const auto alone = [](const Json& file) {
        const std::vector<VerdictInput> input{{"v.json", verdict_from_json(file, "v.json")}};
        return leaderboard_of({}, input).at(0).verdicts.at(0);
    };
    const std::string told = verdict_to_markdown(alone(json), Detail::whole);
    CHECK_THAT(told, ContainsSubstring("itself, protocol `decode`, schedule `slack:128`, text given"));
    CHECK(find(alone(json), "snapkv@kvpress").rank.has_value());
    CHECK_FALSE(find(alone(json), "tova@kvpress").rank.has_value());
    json["decode"]["allowed"] = {0.2};
    CHECK_THROWS_WITH(verdict_from_json(json, "v.json"), ContainsSubstring("decode.allowed: expected 2 numbers"));
    json["decode"] = {{"schedule", "once"}, {"text", "dictated"}};
    CHECK_THROWS_WITH(verdict_from_json(json, "v.json"), ContainsSubstring("decode.text"));
}

TEST_CASE("benches of two schedules are tables of their own, and a verdict stands in that of its schedule") {
    const auto bench_by = [](const std::string& schedule) {
        Bench bench = made_bench_with_budgets();
        bench.protocol = "decode";
        bench.cut.schedule = parse_schedule(schedule);
        return bench;
    };
    Json json = verdict_json();
    json["protocol"] = "decode";
    json["decode"] = {{"schedule", "slack:128"}, {"text", "given"}};
    const std::vector<VerdictInput> verdicts{{"v.json", verdict_from_json(json, "v.json")}};
    const std::vector<LeaderboardInput> both{{"a.json", bench_by("every:1"), std::nullopt},
                                             {"b.json", bench_by("slack:128"), std::nullopt}};
    const auto tables = leaderboard_of(both, verdicts);
    REQUIRE(tables.size() == 2);
    CHECK(tables[0].verdicts.empty());
    CHECK(tables[1].verdicts.size() == 1);
    CHECK_THROWS_WITH(
        leaderboard_of(std::span(both).first(1), verdicts),
        ContainsSubstring("under the protocol decode, with the schedule slack:128, so there is no table"));
}

TEST_CASE("only documents that were kept for judging count") {
    Json json = verdict_json();
    json["documents"][3]["split"] = "train";
    const auto table = tables_of(json).at(0).verdicts.at(0);
    CHECK(table.documents == 5);
    CHECK(table.kinds.size() == 2);
    CHECK_FALSE(find(table, "=mine").figures[1].win); // five documents are too few
    for (auto& document : json["documents"]) document["split"] = "train";
    CHECK_THROWS_WITH(tables_of(json),
                      "verdict.json: documents: none is of the split \"test\", which a leaderboard shows");
}

TEST_CASE("documents that the model cannot do are in no mean of a verdict and are named") {
    Json json = verdict_json();
    json["documents"][3]["left_out"] = "the model answers 0 of 7 lookups without eviction"; // stock, of difficulty 4
    const VerdictTable table = tables_of(json).at(0).verdicts.at(0);
    CHECK(table.documents == 5);
    CHECK(find(table, "tova@kvpress").figures[1].arithmetic == Approx(0.4 * 8 / 5));
    CHECK(table.kinds.size() == 2);
    CHECK_FALSE(find(table, "=mine").figures[1].win); // five documents are too few
    const std::string text = to_markdown(tables_of(json), Detail::whole, {});
    CHECK_THAT(text, ContainsSubstring("over the continuation of 5 documents"));
    CHECK_THAT(text, ContainsSubstring("| - | `=mine` |") && ContainsSubstring("too few to tell rows apart"));
    CHECK_THAT(text, ContainsSubstring("`stock` (the model answers 0 of 7 lookups without eviction)"));
    for (auto& document : json["documents"]) document["left_out"] = "no lookup is right";
    const VerdictTable none = tables_of(json).at(0).verdicts.at(0);
    CHECK(none.documents == 6);
    CHECK_FALSE(find(none, "=mine").figures[1].win);
}

TEST_CASE("the leaderboard shows the verdict beside the rows and as a table of its own") {
    const std::string text = to_markdown(tables_of(verdict_json()));
    CHECK_THAT(text, ContainsSubstring("| KL, SmolLM2-135M-Instruct | output error 0.10 |"));
    CHECK_THAT(text, ContainsSubstring("#### The verdict of `SmolLM2-135M-Instruct` itself\n"));
    CHECK_THAT(text, ContainsSubstring(
                         "| rank | scorer | budgets | reads | KL all | ratio all | KL 0.10 | ratio 0.10 | KL 0.50 | "
                         "ratio 0.50 |\n"));
    CHECK_THAT(text,
               ContainsSubstring("| 1 | `=mine` | uniform |  | 0.0563 / 0.1100 | 0.50 [0.50, 0.50] win | 0.1782 / "
                                 "0.2000 |"));
    CHECK_THAT(text, ContainsSubstring("| `snapkv@kvpress` | uniform | q64 | 0.1127 / 0.2200 | best published |"));
    CHECK_THAT(text, ContainsSubstring("(all: `snapkv@kvpress`, 0.10: `snapkv@kvpress`"));
    CHECK_THAT(text, ContainsSubstring("| scorer | prose (3) 0.10 | prose (3) 0.50 | code (2) 0.10 |"));
    CHECK_THAT(text, ContainsSubstring("| `tova@kvpress` | +0.0900 | +0.2000 | -0.0200 |"));
    const Json json = to_json(tables_of(verdict_json()))["suites"][0]["verdicts"][0];
    CHECK(json["best_published"]["0.10"] == "snapkv@kvpress");
    CHECK(json["rows"][1]["figures"]["0.10"]["ratio"].get<double>() == Approx(0.5));
    CHECK(json["rows"][1]["figures"]["0.10"]["win"] == true);
    CHECK(json["rows"][1]["kinds"]["list"]["0.50"]["kl_geometric"].get<double>() == Approx(0.04));
}

TEST_CASE("without a published row there is nothing to compare with") {
    Json json = verdict_json();
    json["rows"] = {row("=mine", 0.1), row("oracle", 0.02)};
    const std::string text = to_markdown(tables_of(json));
    CHECK_THAT(text, ContainsSubstring("| `=mine` | 0.0563 / 0.1100 | n/a |"));
    CHECK_THAT(text, ContainsSubstring("there are no ratios"));
}

TEST_CASE("a bare name of a verdict that ran the seed's rule is told of what is published") {
    Json json = verdict_json();
    CHECK_THAT(to_markdown(leaderboard_of({}, std::vector{VerdictInput{"v.json", verdict_from_json(json, "v.json")}})),
               !ContainsSubstring("seed's rule"));
    json["rows"][0]["scorer"] = "tova";
    const std::string said = "`tova` is the seed's rule; the published ones are `tova@kvpress` and `tova@paper`.\n";
    CHECK_THAT(to_markdown(leaderboard_of({}, std::vector{VerdictInput{"v.json", verdict_from_json(json, "v.json")}})),
               ContainsSubstring(said));
    CHECK_THAT(to_markdown(tables_of(json)), ContainsSubstring(said));
}

TEST_CASE("a verdict may stand alone, with the figures that it has in a leaderboard") {
    Json json = verdict_json();
    json["rows"][4]["uneven_budgets"] = true; // without a bench the file alone says so
    const std::vector<VerdictInput> verdicts{{"verdict.json", verdict_from_json(json, "verdict.json")}};
    const auto alone = leaderboard_of({}, verdicts);
    REQUIRE(alone.size() == 1);
    const auto beside = tables_of(verdict_json()).at(0).verdicts.at(0);
    const auto& table = alone[0].verdicts.at(0);
    CHECK(table.best_published == beside.best_published);
    CHECK(find(table, "=mine").figures[1].ratio->value == find(beside, "=mine").figures[1].ratio->value);
    const std::string text = to_markdown(alone);
    CHECK_THAT(text, ContainsSubstring("### Suite `smollm2`, protocol `prefill`"));
    CHECK_THAT(text, ContainsSubstring("| 1 | `=mine` |"));
    CHECK_THAT(text, ContainsSubstring("| `snapkv@kvpress` | uniform | q64 |")); // of the plugins
    CHECK_THAT(text, ContainsSubstring("\"reads\": kv, nothing of queries"));
    CHECK(find(table, "snapkv@kvpress").scorecard.scorer_class ==
          find(beside, "snapkv@kvpress").scorecard.scorer_class);
    CHECK_THAT(text, !ContainsSubstring("output error"));
    CHECK(to_json(alone)["suites"][0]["verdicts"][0]["rows"].size() == 5);
}

TEST_CASE("a headline has the bound, the best row of one's own, the best published ones, and random") {
    Json json = verdict_json();
    json["rows"][4]["uneven_budgets"] = true;
    for (const auto& [scorer, kl] : std::vector<std::pair<std::string, double>>{
             {"=worse", 0.15}, {"random", 3}, {"h2o@paper", 0.5}, {"knorm@kvpress", 0.6}})
        json["rows"].push_back(row(scorer, kl));
    const std::vector<VerdictInput> verdicts{{"verdict.json", verdict_from_json(json, "verdict.json")}};
    const std::string text = to_markdown(leaderboard_of({}, verdicts), Detail::headline);
    CHECK_THAT(text, ContainsSubstring("| scorer | budgets | reads | KL at 0.10 | KL at 0.50 |"));
    CHECK_THAT(text, ContainsSubstring("| `=mine` | uniform |  | 0.1782 (0.50 [0.50, 0.50]) win |"));
    CHECK_THAT(text, ContainsSubstring("| `snapkv@kvpress` | uniform | q64 | 0.3564 (1) |"));
    CHECK_THAT(text, ContainsSubstring("| `adakv(snapkv@kvpress)` | head | q64 | 0.1782 (1) |"));
    for (const std::string shown : {"`oracle`", "`tova@kvpress`", "`h2o@paper`", "`random`", "6 documents"})
        CHECK_THAT(text, ContainsSubstring(shown));
    for (const std::string left_out : {"`=worse`", "`knorm@kvpress`", "Rows with uniform budgets"})
        CHECK_THAT(text, !ContainsSubstring(left_out));
    json["documents"][0]["left_out"] = "the model answers 0 of 7 lookups without eviction";
    const std::vector<VerdictInput> marked{{"verdict.json", verdict_from_json(json, "verdict.json")}};
    CHECK_THAT(to_markdown(leaderboard_of({}, marked), Detail::headline),
               ContainsSubstring("5 documents") && ContainsSubstring("1 document left out of all means") &&
                   !ContainsSubstring("0 of 7 lookups"));
    json["rows"].erase(4);
    const std::vector<VerdictInput> even{{"verdict.json", verdict_from_json(json, "verdict.json")}};
    CHECK_THAT(to_markdown(leaderboard_of({}, even), Detail::headline),
               ContainsSubstring("| scorer | reads | KL at 0.10 | KL at 0.50 |") &&
                   ContainsSubstring("Rows with uniform budgets; `oracle` is a bound."));
}

TEST_CASE("a verdict that is malformed or belongs to no table is refused with file and field") {
    CHECK(refusal("/model", "Gemma") == "accepted");
    CHECK(refusal("/schema", "evictlab-verdict/9") ==
          "verdict.json: schema: expected \"evictlab-verdict/1\", found \"evictlab-verdict/9\": write it with "
          "`evictlab-verdict`");
    CHECK(
        refusal("/suite/hash", "sha256:dd") ==
        "verdict.json: suite: no bench result is of the suite smollm2 (sha256:dd) under the protocol prefill, so there "
        "is no table that the verdict could stand in");
    CHECK_THAT(refusal("/protocol", "decode"), ContainsSubstring("under the protocol decode"));
    CHECK(refusal("/documents/0/name", "unknown") ==
          "verdict.json: documents: \"unknown\" is not in the split test of the suite smollm2");
    CHECK(refusal("/documents/0/name", "letters") == "verdict.json: documents[1]: a second document \"letters\"");
    CHECK(refusal("/rows/0/kl/2", {0.1}) == "verdict.json: rows[0].kl[2]: expected 2 numbers, one a retention");
    CHECK(refusal("/rows/0/kl/2/0", nullptr) == "verdict.json: rows[0].kl[2][0]: expected a number, found null");
    CHECK(refusal("/rows/0/kl/2/0", -0.5) ==
          "verdict.json: rows[0].kl[2][0]: expected a divergence, which is not negative, found -0.5");
    CHECK(refusal("/rows/0/delta_nll", Json::array()) ==
          "verdict.json: rows[0].delta_nll: expected 6 lists, one a document, found 0");
    CHECK(refusal("/rows/0/retention_used", {0.1}) ==
          "verdict.json: rows[0].retention_used: expected 2 numbers, one a retention");
    CHECK(refusal("/rows/1/scorer", "tova@kvpress") ==
          "verdict.json: rows[1]: a second row for the scorer \"tova@kvpress\"");
    CHECK(refusal("/rows", Json::array()) == "verdict.json: rows: expected at least one row");
    CHECK(refusal("/retentions/1", 0.1) == "verdict.json: retentions[1]: this retention is there twice");
    CHECK_THAT(refusal("/rows/0/class", {{"reads", "all"}}), ContainsSubstring("rows[0].class.reads: expected what a"));
    CHECK_THAT(
        refusal("/rows/0/class", {{"reads", "kv"}, {"passes", 3}, {"calibrated", false}, {"budgets", "uniform"}}),
        ContainsSubstring("rows[0].class.passes: "));
    CHECK_THAT(refusal("/rows/0/class", {{"reads", "kv"}, {"passes", 1}, {"calibrated", false}, {"budgets", "heads"}}),
               ContainsSubstring("rows[0].class.budgets: "));
    CHECK_THAT(refusal("/kv_bytes", "many"), ContainsSubstring("verdict.json: kv_bytes: "));
    CHECK_THAT(refusal("/sources", {{"calibration", "mine"}}),
               ContainsSubstring("verdict.json: sources.calibration: "));
    CHECK_THAT(refusal("/sharing_layers", {{{"layers", 4}, {"of", 3}}}), ContainsSubstring("sharing_layers[0]: "));
    CHECK_THAT(refusal("/rows/0/cost", {{"microseconds", -1}, {"measured_on", "x"}}),
               ContainsSubstring("rows[0].cost.microseconds: "));
    CHECK(refusal("/retentions/0", 0) == "verdict.json: retentions[0]: expected a retention above 0");
}

} // namespace evictlab::report
