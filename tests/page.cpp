// The leaderboard's page: its figures are the leaderboard's, and texts from outside never become markup. How it looks
// and answers in a browser is tools/tests/test_page.py's. SPDX-License-Identifier: MIT
#include "report/page.hpp"

#include <algorithm>
#include <string>

#include "report/comparison.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/made_benches.hpp"
#include "tests/support/page_data.hpp"

namespace evictlab::report {
namespace {

const PluginHost& host() {
    static const PluginHost host;
    return host;
}

std::vector<LeaderboardTable> tables_of(Bench bench) {
    return make_leaderboard(std::vector{LeaderboardInput{"b.json", std::move(bench), {}}}, {}, host());
}

const Json& row_of(const Json& view, const std::string& scorer) {
    for (const Json& group : view["groups"])
        for (const Json& row : group["rows"])
            if (row["scorer"] == scorer) return row;
    throw std::runtime_error("no row " + scorer);
}

std::size_t count(std::string_view text, std::string_view part) {
    std::size_t found = 0;
    for (auto at = text.find(part); at != text.npos; at = text.find(part, at + 1)) ++found;
    return found;
}

TEST_CASE("a page has each measure's figures with intervals, by class") {
    const auto tables = tables_of(made_bench_with_budgets());
    const Json json = page_json(tables, host());
    CHECK(json["schema"] == page_schema);
    const Json& views = json["tables"][0]["views"];
    REQUIRE(views.size() == 2);
    CHECK(views[0]["title"] == "output error");
    CHECK(views[0]["documents"] == 6);
    CHECK(views[0]["groups"][0]["best"] == "snapkv@kvpress");
    const Json& mine = row_of(views[0], "=mine");
    CHECK(mine["rank"] == "1");
    CHECK(mine["published"] == false);
    CHECK(mine["win"] == true);
    CHECK(mine["at"][0][0].get<double>() == Approx(0.16));
    CHECK(mine["at"][0][1] < 0.16);
    CHECK(mine["at"][0][2] > 0.16);
    CHECK(mine["gap"].get<double>() == Approx((0.2 - 0.16) / (0.2 - 0.1)));
    CHECK(mine["kinds"].size() == 3);
    for (const auto& group : tables[0].groups)
        for (const auto& row : group.rows) {
            const Json& shown = row_of(views[0], row.scorecard.scorer);
            CHECK(shown["mean"][0].get<double>() == Approx(row.test.value));
            CHECK(shown["mean"][1] == row.test.interval->low);
            const Json& other = row_of(views[1], row.scorecard.scorer);
            CHECK(other["mean"][0].get<double>() == Approx(judging_errors(row.scorecard, 1).average));
            CHECK(!other.contains("win"));
        }
}

TEST_CASE("a row's rank by another measure is its place among the ranked rows of its class") {
    const Json view = page_json(tables_of(made_bench_with_budgets()), host())["tables"][0]["views"][1];
    CHECK(row_of(view, "tova@kvpress")["rank"] == "1");
    CHECK(row_of(view, "=mine")["rank"] == "2");
    CHECK(row_of(view, "snapkv@kvpress")["rank"] == "3");
    CHECK(row_of(view, "my_budgets")["rank"] == "1");
    CHECK(row_of(view, "oracle")["rank"] == "bound");
}

TEST_CASE("a page tells what a row's scorer is and which columns it reads") {
    Bench bench = made_bench({made_row("snapkv@kvpress", 0.2, 0.2), made_row("champion", 0.15, 0.2, RowKind::formula)});
    bench.rows[1].formula = "window_attn:64 + key_norm";
    const Json json = page_json(tables_of(bench), host());
    const Json& scorers = json["tables"][0]["scorers"];
    CHECK(scorers["champion"]["columns"] == Json({"key_norm", "window_attn:64"}));
    CHECK_THAT(json["columns"]["key_norm"].get<std::string>(), ContainsSubstring("key"));
    CHECK_THAT(scorers["snapkv@kvpress"]["command"].get<std::string>(), ContainsSubstring("--scorers snapkv@kvpress"));
    CHECK(!scorers["snapkv@kvpress"]["reference"].get<std::string>().empty());
}

TEST_CASE("texts from outside stay inside the page's data") {
    const std::string odd = "</script><script>alert(1)</script><!--<b onclick='x'>\x1b[31m\xff{{data}}{{page.css}}";
    Bench bench = made_bench({made_row("snapkv@kvpress", 0.2, 0.2), made_row(odd, 0.3, 0.3)});
    bench.suite = odd;
    bench.failures.emplace_back(odd, "score", odd);
    const auto tables = tables_of(bench);
    const std::string page = to_page(tables, host());
    CHECK(count(page, "<script") == 4);
    CHECK(count(page, "</script") == 4);
    CHECK(count(page, "<!--") == 0);
    const auto data = test::data_of_page(page);
    CHECK(data["tables"][0]["views"][0]["groups"][0]["rows"].size() == 4);
    CHECK_THAT(data["tables"][0]["suite"].get<std::string>(), ContainsSubstring("</script><script>alert(1)"));
}

TEST_CASE("equal tables give equal bytes, and nothing is fetched") {
    const auto tables = tables_of(made_bench_with_budgets());
    const std::string page = to_page(tables, host());
    CHECK(page == to_page(tables, host()));
    CHECK(test::data_of_page(page) == page_json(tables, host()));
    CHECK(count(page, " src=") == 0);
    CHECK(count(page, "<link") == 0);
    CHECK(count(page, "@import") == 0);
    CHECK_THAT(page, ContainsSubstring("default-src 'none'"));
}

} // namespace
} // namespace evictlab::report
