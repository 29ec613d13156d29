// The model's own verdict: what is read, how it is summed up, where it stands in a leaderboard, and what is refused.
// SPDX-License-Identifier: MIT
#include "report/verdict.hpp"

#include <cmath>

#include "report/leaderboard_text.hpp"
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
    CHECK(table.best_published == std::vector<std::string>(3, "snapkv@kvpress"));
    CHECK(find(table, "=mine").figures[1].ratio->value == Approx(0.5));
    CHECK(find(table, "=mine").figures[1].ratio->interval->high == Approx(0.5)); // the same on every document
    CHECK(find(table, "=mine").figures[1].win);
    CHECK(find(table, "tova@kvpress").figures[0].ratio->value == Approx(2));
    CHECK_FALSE(find(table, "tova@kvpress").figures[0].win);
    CHECK(find(table, "adakv(snapkv@kvpress)").figures[1].ratio->value == Approx(0.5));
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

TEST_CASE("a row that keeps more than asked is no yardstick of a verdict") {
    Json json = verdict_json();
    json["rows"][1]["retention_used"] = {0.2, 0.5};
    const auto table = tables_of(json).at(0).verdicts.at(0);
    CHECK(table.best_published == std::vector<std::string>(3, "tova@kvpress"));
    CHECK_FALSE(find(table, "snapkv@kvpress").rank.has_value());
    CHECK_FALSE(find(table, "snapkv@kvpress").figures[0].win);
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
    CHECK_THAT(text, ContainsSubstring("| scorer | reads | KL at 0.10 | KL at 0.50 |"));
    CHECK_THAT(text, ContainsSubstring("| `=mine` |  | 0.1782 (0.50 [0.50, 0.50]) win |"));
    CHECK_THAT(text, ContainsSubstring("| `snapkv@kvpress` | q64 | 0.3564 (1) |"));
    for (const std::string shown : {"`oracle`", "`tova@kvpress`", "`h2o@paper`", "`random`", "6 documents"})
        CHECK_THAT(text, ContainsSubstring(shown));
    for (const std::string left_out : {"`=worse`", "`knorm@kvpress`", "adakv"})
        CHECK_THAT(text, !ContainsSubstring(left_out));
    json["documents"][0]["left_out"] = "the model answers 0 of 7 lookups without eviction";
    const std::vector<VerdictInput> marked{{"verdict.json", verdict_from_json(json, "verdict.json")}};
    CHECK_THAT(to_markdown(leaderboard_of({}, marked), Detail::headline),
               ContainsSubstring("5 documents") && ContainsSubstring("0 of 7 lookups"));
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
    CHECK(refusal("/retentions/0", 0) == "verdict.json: retentions[0]: expected a retention above 0");
}

} // namespace evictlab::report
