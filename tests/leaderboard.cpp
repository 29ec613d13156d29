// Leaderboards from hand-made results: order, comparisons, merging, what is refused, and the text that comes out.
// SPDX-License-Identifier: MIT
#include "report/leaderboard.hpp"

#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "base/output/write_file.hpp"
#include "framework/capture/suites.hpp"
#include "report/leaderboard_text.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/leaderboards.hpp"

namespace evictlab::report {
namespace {

namespace fs = std::filesystem;

ScorecardRow row(const std::string& scorer, RowKind kind, double test, const std::string& formula = "") {
    const auto flat = [](double error) { return SplitErrors{{error, error, error}, error, {}}; };
    ScorecardRow made;
    made.scorer = scorer;
    made.kind = kind;
    made.formula = formula;
    made.splits = {flat(test + 0.02), flat(test + 0.01), flat(test)};
    return made;
}

Bench bench_of(const std::string& hash, std::vector<ScorecardRow> rows) {
    Bench bench;
    bench.suite = "micro";
    bench.suite_hash = hash;
    bench.suite_parameters_json = make_suite("micro").parameters_json();
    bench.protocol = "rescore";
    bench.retentions = {0.25, 0.5, 0.75};
    bench.rows = std::move(rows);
    bench.rows.push_back(row("random@seed", RowKind::plugin, 0.45));
    bench.rows.push_back(row("oracle", RowKind::bound, 0.3));
    return bench;
}

LeaderboardInput seed_input() {
    return {"micro.json",
            bench_of("sha256:aa", {row("hybrid", RowKind::plugin, 0.5), row("streaming_llm@seed", RowKind::plugin, 0.4),
                                   row("pyramidkv@seed", RowKind::plugin, 0.4), row("evolved", RowKind::plugin, 0.42),
                                   row("=a|b", RowKind::formula, 0.36, "a|b")}),
            std::nullopt};
}

evolution::RunSummary run_summary() {
    evolution::RunSummary run;
    run.suite = "micro";
    run.suite_hash = "sha256:aa";
    run.seed = 3;
    run.generation = 12;
    run.evaluations = 3456;
    run.start = "hybrid_start";
    run.command = "evictlab evolve --suite micro --start hybrid_start --seed 3";
    run.champion.genome = evolution::Genome::saved(formula::parse("2"), 0x0123456789abcdef);
    return run;
}

LeaderboardInput run_input() {
    return {"run.json", bench_of("sha256:aa", {row("champion 01234567", RowKind::formula, 0.35, "2")}), run_summary()};
}

const LeaderboardRow& find(const LeaderboardTable& table, const std::string& scorer) {
    for (const auto& candidate : table.uniform().rows)
        if (candidate.scorecard.scorer == scorer) return candidate;
    throw std::runtime_error("no row " + scorer);
}

std::string refusal(const std::vector<LeaderboardInput>& inputs) {
    try {
        leaderboard_of(inputs);
    } catch (const Error& error) {
        return error.what();
    }
    return "accepted";
}

fs::path fresh_folder() {
    static int count = 0;
    const auto folder = fs::temp_directory_path() /
                        fs::path("evictlab-leaderboard-" + std::to_string(::getpid()) + "-" + std::to_string(++count));
    fs::create_directory(folder);
    return folder;
}

std::string content(const fs::path& file) {
    std::ifstream stream(file);
    return {std::istreambuf_iterator<char>(stream), {}};
}

} // namespace

TEST_CASE("rows are ranked best first, ties share a rank, the oracle has none") {
    const auto tables = leaderboard_of(std::vector{seed_input()});
    REQUIRE(tables.size() == 1);
    std::vector<std::pair<std::string, std::optional<std::size_t>>> order;
    for (const auto& entry : tables[0].uniform().rows) order.emplace_back(entry.scorecard.scorer, entry.rank);
    const decltype(order) expected{
        {"oracle", std::nullopt}, {"=a|b", 1},        {"pyramidkv@seed", 2}, {"streaming_llm@seed", 2},
        {"evolved", 4},           {"random@seed", 5}, {"hybrid", 6}};
    CHECK(order == expected);
}

TEST_CASE("rows are compared with hybrid and with the best published method") {
    const auto table = leaderboard_of(std::vector{seed_input()}).at(0);
    CHECK(table.uniform().best_published == "pyramidkv@seed");
    CHECK(find(table, "=a|b").improvement_over_hybrid.value() == Approx(0.28));
    CHECK(find(table, "=a|b").gap_closed.at(0).average.value() == Approx(0.4));
    CHECK(find(table, "streaming_llm@seed").gap_closed.at(0).average.value() == Approx(0));
    CHECK(find(table, "evolved").gap_closed.at(0).average.value() == Approx(-0.2));
    CHECK(find(table, "oracle").gap_closed.at(0).average.value() == Approx(1));
    CHECK(find(table, "hybrid").improvement_over_hybrid.value() == 0);
}

TEST_CASE("without hybrid or a published method there is nothing to compare with") {
    const LeaderboardInput input{"x", bench_of("h", {row("evolved", RowKind::plugin, 0.4)}), std::nullopt};
    const auto table = leaderboard_of(std::vector{input}).at(0);
    CHECK(table.uniform().best_published.empty());
    CHECK_FALSE(find(table, "evolved").gap_closed.at(0).average.has_value());
    CHECK_FALSE(find(table, "evolved").improvement_over_hybrid.has_value());
    CHECK_THAT(to_markdown(std::vector{table}), ContainsSubstring("n/a"));
}

TEST_CASE("a formula by the name of a published method is none") {
    Bench bench = bench_of("h", {row("h2o@seed", RowKind::formula, 0.3), row("tova@seed", RowKind::plugin, 0.4)});
    const LeaderboardInput input{"x", bench, std::nullopt};
    CHECK(leaderboard_of(std::vector{input}).at(0).uniform().best_published == "tova@seed");
}

TEST_CASE("a run brings its champion and the command that found it") {
    const auto tables = leaderboard_of(std::vector{seed_input(), run_input()});
    REQUIRE(tables.size() == 1);
    const auto& champion = find(tables[0], "champion 01234567");
    CHECK(champion.rank == 1);
    CHECK(champion.command == run_summary().command + " --generations 12 --state repeated.json");
    CHECK(find(tables[0], "oracle").sources == std::vector<std::string>{"micro.json", "run.json"});
    CHECK(tables[0].uniform().rows.size() == 8);
    CHECK(tables[0].runs.size() == 1);
}

TEST_CASE("each suite has its own table") {
    auto other = seed_input();
    other.bench.suite_hash = "sha256:bb";
    CHECK(leaderboard_of(std::vector{seed_input(), other, run_input()}).size() == 2);
    auto finer = seed_input();
    finer.bench.retentions = {0.1, 0.2, 0.3};
    CHECK(leaderboard_of(std::vector{seed_input(), finer}).size() == 2);
}

TEST_CASE("the same figures twice merge, different ones are refused with both files") {
    auto again = seed_input();
    again.file = "again.json";
    CHECK(leaderboard_of(std::vector{seed_input(), again}).at(0).uniform().rows.size() == 7);
    again.bench.rows[1] = row("streaming_llm@seed", RowKind::plugin, 0.41);
    CHECK(refusal({seed_input(), again}) ==
          "micro.json and again.json: different figures for the scorer \"streaming_llm@seed\" on the suite micro "
          "(sha256:aa): 0.4 and 0.41 on the test split; measure both with the same build, or leave one out");
}

TEST_CASE("a result that cannot stand in a leaderboard is refused") {
    auto input = seed_input();
    input.bench.rows.pop_back();
    CHECK_THAT(refusal({input}), ContainsSubstring("micro.json: has no row \"oracle\""));
    input = seed_input();
    input.bench.rows.erase(input.bench.rows.end() - 2);
    CHECK_THAT(refusal({input}), ContainsSubstring("micro.json: has no row \"random@seed\""));
    input = run_input();
    input.bench.rows.erase(input.bench.rows.begin());
    CHECK_THAT(refusal({input}), ContainsSubstring("the champion \"champion 01234567\" was not measured"));
    input = run_input();
    input.run->suite_hash = "sha256:cc";
    CHECK_THAT(refusal({input}), ContainsSubstring("the run is on the suite micro (sha256:cc)"));
}

TEST_CASE("a row's command measures it again") {
    auto table = leaderboard_of(std::vector{seed_input()}).at(0);
    CHECK(find(table, "hybrid").command == "evictlab bench --suite micro --scorers hybrid --split test");
    CHECK(find(table, "oracle").command == "evictlab bench --suite micro --split test");
    CHECK(find(table, "=a|b").command == "evictlab bench --suite micro --scorers '=a|b' --split test");
    CHECK(bench_command(table, row("it's.formula", RowKind::formula, 0)) ==
          "evictlab bench --suite micro --scorers 'it'\\''s.formula' --split test");
    table.suite_parameters_json =
        make_suite("micro", {.seq_len = 96, .num_layers = 6, .patterns = 4, .seed_offset = 7000}).parameters_json();
    table.retentions = {0.1, 0.125};
    CHECK(bench_command(table, row("h2o@seed", RowKind::plugin, 0)) ==
          "evictlab bench --suite micro --seq-len 96 --layers 6 --patterns 4 --seed-offset 7000 --scorers h2o@seed "
          "--split test --retention 0.10,0.125");
}

TEST_CASE("Markdown has one table, its protocol and where it comes from") {
    const std::string text = to_markdown(leaderboard_of(std::vector{seed_input(), run_input()}));
    CHECK_THAT(text,
               ContainsSubstring("| rank | scorer | kind | reads | test | over hybrid | gap closed | test 0.25 |"));
    CHECK_THAT(text, ContainsSubstring(
                         "\n| 1 | `champion 01234567` | formula | kv | 0.3500 | +30.00 % | +50.00 % | 0.3500 |"));
    CHECK_THAT(text, ContainsSubstring("\n| 2 | `=a\\|b` | formula |  | 0.3600 | +28.00 % | +40.00 % |"));
    CHECK_THAT(text, ContainsSubstring("\n| bound | `oracle` | bound |  | 0.3000 |"));
    CHECK_THAT(text, ContainsSubstring("an evicted token may come back"));
    CHECK_THAT(text, ContainsSubstring("Suite `micro`, `sha256:aa`"));
    CHECK_THAT(text, ContainsSubstring("seed 3, from `hybrid_start`, 12 generations, 3456 formulas"));
    const std::string brief = to_markdown(leaderboard_of(std::vector{seed_input()}), Detail::brief);
    CHECK_THAT(brief, ContainsSubstring("| test 0.75 | valid | train |\n"));
}

TEST_CASE("JSON has the same content") {
    const Json json = to_json(leaderboard_of(std::vector{seed_input(), run_input()}));
    CHECK(json["schema"] == "evictlab-leaderboard/1");
    const Json& suite = json["suites"][0];
    CHECK(suite["suite"]["hash"] == "sha256:aa");
    CHECK(suite["best_published"] == "pyramidkv@seed");
    CHECK(suite["rows"][0]["rank"].is_null());
    CHECK(suite["rows"][1]["rank"] == 1);
    CHECK(suite["rows"][1]["formula"] == "2");
    CHECK(suite["rows"][1]["splits"]["test"]["0.50"] == 0.35);
    CHECK(suite["rows"][1]["improvement_over_hybrid"].get<double>() == Approx(0.3));
    CHECK(suite["runs"][0]["champion"] == "champion 01234567");
    CHECK_FALSE(suite["rows"][1].contains("shown"));
    CHECK(suite["note"].get<std::string>() == protocol_note("rescore"));
}

TEST_CASE("JSON has a shorter formula of the same scores beside a row's and a champion's own") {
    LeaderboardInput input = run_input();
    const std::string found = "if(relative_pos < -0.2, token_type, recent_attn)";
    input.run->champion.genome = evolution::Genome::verbatim(formula::parse(found));
    input.bench.rows[0].formula = found;
    input.bench.rows[0].scorer = champion_label(*input.run);
    const Json suite = to_json(leaderboard_of(std::vector{input}))["suites"][0];
    for (const Json& json : {suite["runs"][0], suite["rows"][1]}) {
        CHECK(json["formula"] == found);
        CHECK(json["shown"] == "recent_attn");
    }
}

TEST_CASE("the file is written whole, in the format that its ending names") {
    const auto folder = fresh_folder();
    const auto tables = leaderboard_of(std::vector{seed_input()});
    write_leaderboard(tables, folder / "board.md");
    CHECK(content(folder / "board.md") == to_markdown(tables));
    write_leaderboard(tables, folder / "board.json");
    CHECK(Json::parse(content(folder / "board.json")) == to_json(tables));
    CHECK(std::distance(fs::directory_iterator(folder), {}) == 2);
    CHECK_THROWS_AS(write_leaderboard(tables, folder / "board.html"), UsageError);
    fs::remove_all(folder);
}

TEST_CASE("a place that cannot be written is refused and the old content stays") {
    const auto folder = fresh_folder();
    CHECK_THROWS_WITH(write_file(folder / "none" / "x.md", "new"),
                      ContainsSubstring("x.md: No such file or directory; choose another place"));
    CHECK_THROWS_WITH(write_file(folder, "new"), ContainsSubstring("Is a directory"));
    CHECK_THROWS_WITH(write_file("/dev/full", "new"), ContainsSubstring("No space left"));
    write_file("/dev/null", "new");
    write_file(folder / "real.md", "old");
    fs::create_symlink("real.md", folder / "link.md");
    write_file(folder / "link.md", "new");
    CHECK(fs::is_symlink(folder / "link.md"));
    CHECK(content(folder / "real.md") == "new");
    fs::remove_all(folder);
}

} // namespace evictlab::report
