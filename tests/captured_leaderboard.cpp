// Leaderboards of captured suites from hand-made results: groups, gaps by measure, intervals, wins, kinds, commands.
// SPDX-License-Identifier: MIT
#include "report/bench_notes.hpp"
#include "report/bench_table.hpp"
#include "report/leaderboard.hpp"
#include "report/leaderboard_text.hpp"
#include "report/ranking.hpp"
#include "report/shown_split.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/leaderboards.hpp"
#include "tests/support/made_benches.hpp"

namespace evictlab::report {
namespace {

LeaderboardTable table_of(Bench bench) {
    return leaderboard_of(std::vector{LeaderboardInput{"made.json", std::move(bench), std::nullopt}}).at(0);
}

const LeaderboardRow& find(const RowGroup& group, const std::string& scorer) {
    for (const auto& row : group.rows)
        if (row.scorecard.scorer == scorer) return row;
    throw std::runtime_error("no row " + scorer);
}

/// Keeps the first `count` documents of the test split.
Bench with_documents(Bench bench, std::size_t count) {
    bench.traces[2].resize(count);
    for (auto& row : bench.rows) {
        row.splits[2].by_trace.resize(count);
        row.more_splits[0][2].by_trace.resize(count);
    }
    return bench;
}

} // namespace

TEST_CASE("rows with layer and with model budgets are ranked among themselves, each kind with its best published row") {
    auto bench = made_bench_with_budgets();
    const auto with_class = [&](const std::string& name, bool layer, bool model, double better) {
        ScorecardRow row = bench.rows[3];
        row.scorer = name;
        row.uneven_budgets = true;
        row.scorer_class = ScorerClass{};
        row.scorer_class->layer_budgets = layer;
        row.scorer_class->model_budgets = model;
        for (SplitErrors& errors : row.splits) {
            errors.average *= better;
            for (double& error : errors.by_retention) error *= better;
            for (auto& trace : errors.by_trace)
                for (double& error : trace) error *= better;
        }
        bench.rows.push_back(std::move(row));
    };
    with_class("pyramidkv@kvpress", true, false, 0.9);
    with_class("cake@paper", false, true, 0.8);
    with_class("global@kvpress(snapkv@kvpress)", false, true, 0.7);
    const auto table = table_of(bench);
    CHECK(table.of({BudgetKind::layer}).best_published == "pyramidkv@kvpress");
    CHECK(table.of({BudgetKind::model}).best_published == "global@kvpress(snapkv@kvpress)");
    CHECK(table.of({BudgetKind::head}).best_published == "adakv(snapkv@kvpress)");
    CHECK(table.uniform().best_published == "snapkv@kvpress");
    CHECK(find(table.of({BudgetKind::layer}), "pyramidkv@kvpress").rank == 1);
    CHECK(find(table.of({BudgetKind::model}), "cake@paper").rank == 2);
    CHECK(find(table.of({BudgetKind::model}), "cake@paper").difference->value > 0);
    const auto json = to_json(std::vector{table})["suites"][0];
    CHECK(json["best_published_by_budgets"]["model"] == "global@kvpress(snapkv@kvpress)");
    CHECK(json["best_published_with_uneven_budgets"] == "adakv(snapkv@kvpress)");
}

TEST_CASE("rows with two passes are ranked and compared among themselves, and win nothing of those with one") {
    auto bench = made_bench_with_budgets();
    const auto add = [&](const std::string& name, double error, bool model, RowKind kind = RowKind::plugin) {
        bench.rows.push_back(made_row(name, error, error, kind));
        bench.rows.back().uneven_budgets = model;
        bench.rows.back().scorer_class = ScorerClass{.model_budgets = model, .passes = 2};
    };
    add("kvzip@kvpress", 0.1, true);
    add("kvgrad@kvpress", 0.15, true);
    add("=reconstruction_attn", 0.12, false, RowKind::formula);
    bench.rows.push_back(made_row("oracle (model budget)", 0.05, 0.05, RowKind::bound));
    const auto table = table_of(bench);
    CHECK(table.uniform().best_published == "snapkv@kvpress");
    CHECK(find(table.uniform(), "=mine").rank == 1); // =reconstruction_attn errs less, and is elsewhere
    CHECK(find(table.uniform(), "=mine").win);
    const RowGroup& twice = table.of({BudgetKind::model, true});
    CHECK(twice.best_published == "kvzip@kvpress");
    CHECK(find(twice, "kvzip@kvpress").rank == 1);
    CHECK(find(twice, "kvgrad@kvpress").difference->value == Approx(0.0375));
    CHECK(find(twice, "kvgrad@kvpress").from_one_pass->value == Approx(-0.0375));
    CHECK(find(twice, "kvgrad@kvpress").from_one_pass->interval->below(0));
    CHECK_FALSE(find(twice, "kvgrad@kvpress").win);
    CHECK(find(twice, "kvgrad@kvpress").gap_closed[0].average.value() == Approx(-1)); // to the bound of one pass
    const RowGroup& formulas = table.of({BudgetKind::uniform, true});
    CHECK(formulas.best_published.empty());
    CHECK_FALSE(find(formulas, "=reconstruction_attn").difference.has_value());
    CHECK_FALSE(find(formulas, "=reconstruction_attn").win);

    const std::string text = to_markdown(std::vector{table});
    CHECK_THAT(text,
               ContainsSubstring("With model budgets and two passes (compared with each other, and with the oracle of "
                                 "the whole model):\n\n| rank | scorer | reads | output error | against best "
                                 "published | against one pass |"));
    CHECK_THAT(text, ContainsSubstring("a row with two passes minus `snapkv@kvpress`, which is no rival of it"));
    const Json json = to_json(std::vector{table})["suites"][0];
    CHECK(json["best_published_with_two_passes"]["model"] == "kvzip@kvpress");
    CHECK(json["best_published_with_two_passes"]["uniform"].is_null());
    CHECK(json["rows_with_two_passes"].size() == 3);
    for (const Json& row : json["rows_with_two_passes"]) CHECK(row["win"] == false);
    CHECK_FALSE(json["best_published_by_budgets"]["model"].is_string()); // its bound alone is there

    const std::string shown = render(bench, Format::table);
    CHECK_THAT(shown, ContainsSubstring("kind     budgets  passes  reads"));
    CHECK_THAT(shown, ContainsSubstring("   1  kvzip@kvpress          plugin   model         2  2nd pass"));
    CHECK_THAT(render(bench, Format::csv), ContainsSubstring("kind,overshoots,budgets,passes,reads,"));
    CHECK_THAT(bench_notes(bench, PluginHost{}),
               ContainsSubstring("against kvzip@kvpress, the best published row of those with model budgets and two "
                                 "passes"));
    const Bench read = bench_from_json(to_json(bench), "made.json");
    CHECK(table_of(read).of({BudgetKind::model, true}).best_published == "kvzip@kvpress");
}

TEST_CASE("rows with head or layer budgets are ranked among themselves") {
    const auto table = table_of(made_bench_with_budgets());
    std::vector<std::pair<std::string, std::optional<std::size_t>>> order;
    for (const RowGroup& group : table.groups)
        for (const auto& row : group.rows) order.emplace_back(row.scorecard.scorer, row.rank);
    CHECK(order == decltype(order){{"oracle", std::nullopt},
                                   {"=mine", 1},
                                   {"snapkv@kvpress", 2},
                                   {"tova@kvpress", 3},
                                   {"random", 4},
                                   {"oracle (layer budget)", std::nullopt},
                                   {"adakv(snapkv@kvpress)", 1},
                                   {"my_budgets", 2}});
    CHECK(table.uniform().best_published == "snapkv@kvpress");
    CHECK(table.of({BudgetKind::head}).best_published == "adakv(snapkv@kvpress)");
    CHECK_FALSE(find(table.uniform(), "=mine").improvement_over_hybrid.has_value());
}

TEST_CASE("the gap is closed by each measure against its own best published row, and each budget's own oracle") {
    const auto table = table_of(made_bench_with_budgets());
    const auto& mine = find(table.uniform(), "=mine");
    REQUIRE(mine.gap_closed.size() == 2);
    CHECK(mine.gap_closed[0].average.value() == Approx(0.4));  // from 0.2 (snapkv) to 0.1
    CHECK(mine.gap_closed[1].average.value() == Approx(-0.6)); // from 0.15 (tova) to 0.1
    CHECK(mine.gap_closed[1].by_retention.at(1).value() == Approx(-0.6));
    const auto& budgets = find(table.of({BudgetKind::head}), "my_budgets");
    CHECK(budgets.gap_closed[0].average.value() == Approx(-0.5)); // from 0.12 (adakv) to 0.08
    CHECK(budgets.gap_closed[1].average.value() == Approx(1.0 / 3));
}

TEST_CASE("intervals are over documents, and a win is where that of the difference lies below 0") {
    const auto table = table_of(made_bench_with_budgets());
    const auto& mine = find(table.uniform(), "=mine");
    CHECK(mine.test.value == Approx(0.12));
    CHECK(mine.test.interval->low > 0.06); // the easiest documents
    CHECK(mine.test.interval->low < 0.12);
    CHECK(mine.test.interval->high < 0.24); // the hardest one
    CHECK(mine.test.interval->high > 0.12);
    CHECK(mine.difference->value == Approx(-0.03));
    CHECK(mine.difference->interval->high < 0);
    CHECK(mine.win);
    CHECK_FALSE(find(table.uniform(), "oracle").win);
    CHECK_FALSE(find(table.uniform(), "snapkv@kvpress").win);
    CHECK(find(table.uniform(), "tova@kvpress").difference->interval->above(0));
}

TEST_CASE("a better mean is no win where documents disagree or are too few") {
    Bench bench = made_bench_with_budgets();
    auto& documents = bench.rows[2].splits[2].by_trace;
    documents = bench.rows[0].splits[2].by_trace;
    documents[3] = {0.05, 0.05}; // one document saves all
    documents[0] = {0.12, 0.09};
    const auto doubtful = table_of(bench);
    const auto& mine = find(doubtful.uniform(), "=mine");
    CHECK(mine.difference->value < 0);
    CHECK(mine.difference->interval->high >= 0);
    CHECK_FALSE(mine.win);
    const auto few = table_of(with_documents(made_bench_with_budgets(), 5));
    CHECK(find(few.uniform(), "=mine").difference->interval->below(0));
    CHECK_FALSE(find(few.uniform(), "=mine").win);
    CHECK_THAT(to_markdown(std::vector{few}), ContainsSubstring("Fewer than 6 are too few to call anything a win."));
    const auto one = table_of(with_documents(made_bench_with_budgets(), 1));
    CHECK_FALSE(find(one.uniform(), "=mine").test.interval.has_value());
    CHECK_THAT(to_markdown(std::vector{one}), ContainsSubstring("One document says nothing about others"));
}

TEST_CASE("a row that keeps more than asked has no rank and is no yardstick") {
    Bench bench = made_bench_with_budgets();
    bench.rows[0] = made_row("lagkv@paper", 0, 0);
    bench.rows[0].retention_used[2] = {1, 1};
    const auto table = table_of(bench);
    CHECK(table.uniform().best_published == "tova@kvpress");
    CHECK_FALSE(find(table.uniform(), "lagkv@paper").rank.has_value());
    CHECK_FALSE(find(table.uniform(), "lagkv@paper").win);
    CHECK(find(table.uniform(), "=mine").rank == 1);
    CHECK(find(table.uniform(), "=mine").gap_closed[0].average.value() == Approx(0.7)); // from 0.3 to 0.1
    const std::string text = to_markdown(std::vector{table});
    CHECK_THAT(text, ContainsSubstring("| overshoots | `lagkv@paper` | kv | 0.0000 "));
    CHECK_THAT(text, ContainsSubstring("keep over 5 % more than asked"));
    CHECK_THAT(render(bench, Format::table),
               ContainsSubstring("overshoots  lagkv@paper") && ContainsSubstring("keep over 5 % more than asked"));
    CHECK_THAT(render(made_bench_with_budgets(), Format::table), !ContainsSubstring("overshoots"));
}

TEST_CASE("documents that the model cannot do are in no mean and are named") {
    Bench bench = made_bench_with_budgets();
    bench.traces[2][3].left_out = "the model answers 1 of 6 lookups without eviction"; // stock, of difficulty 4
    const Bench read = bench_from_json(to_json(bench), "made.json");
    const auto table = table_of(read);
    const auto& mine = find(table.uniform(), "=mine");
    // The mean difficulty of the five others is 1.6 instead of 2.
    CHECK(mine.test.value == Approx(0.8 * test_average(bench.rows[2])));
    CHECK_FALSE(mine.win); // five documents are too few
    const std::string text = to_markdown(std::vector{table}, Detail::whole, {});
    CHECK_THAT(text, ContainsSubstring("Mean over 5 documents of the test split"));
    CHECK_THAT(text, ContainsSubstring("1 document left out of all means"));
    CHECK_THAT(text, ContainsSubstring("`stock` (the model answers 1 of 6 lookups without eviction)"));
    CHECK_THAT(text, !ContainsSubstring("list (1)"));
    CHECK(to_json(std::vector{table})["suites"][0]["left_out"][0]["name"] == "stock");

    for (TraceLabel& label : bench.traces[2]) label.left_out = "no lookup is right";
    const auto none = table_of(bench);
    CHECK(find(none.uniform(), "=mine").test.value == Approx(test_average(bench.rows[2])));
    CHECK_FALSE(find(none.uniform(), "=mine").win);
    CHECK_THAT(to_markdown(std::vector{none}, Detail::whole, {}),
               ContainsSubstring("so figures on them carry no claim"));
}

TEST_CASE("ranks that the storage does not tell apart, and frozen caches, are said below tables") {
    Bench bench = made_bench({made_row("snapkv@kvpress", 0.2, 0.2), made_row("tova@kvpress", 0.202, 0.15),
                              made_row("knorm@kvpress", 0.204, 0.15), made_row("keydiff@kvpress", 0.3, 0.2)});
    CHECK_THAT(render(bench, Format::table), !ContainsSubstring("nearer than"));
    bench.storage = "I8";
    for (const Format format : {Format::table, Format::markdown})
        CHECK_THAT(render(bench, format), ContainsSubstring("Ranks 1 to 3: nearer than 2 %"));
    CHECK_THAT(to_markdown(std::vector{table_of(bench_from_json(to_json(bench), "made.json"))}, Detail::brief, {}),
               ContainsSubstring("Ranks 1 to 3 are nearer to each other than 2 %"));

    bench.protocol = "decode";
    for (ScorecardRow& row : bench.rows) row.continuation_kept[2] = {0.9, 1.1};
    bench.rows[0].continuation_kept[2] = {0.01, 0.6};
    bench.rows.back().continuation_kept[2] = {0, 0}; // of a bound nothing is said
    const Bench read = bench_from_json(to_json(bench), "made.json");
    for (const Format format : {Format::table, Format::markdown})
        CHECK_THAT(render(read, format), ContainsSubstring("Frozen caches") && ContainsSubstring("at 0.10 (0.01)."));
    const auto table = table_of(read);
    CHECK_THAT(to_markdown(std::vector{table}, Detail::brief, {}),
               ContainsSubstring("`snapkv@kvpress` at 0.10 (0.01)."));
    const Json json = to_json(std::vector{table})["suites"][0]["rows"];
    for (const Json& row : json) CHECK(row.contains("frozen") == (row["scorer"] == "snapkv@kvpress"));
}

TEST_CASE("Markdown shows both measures, intervals, budgets, kinds of documents and the retention really used") {
    const std::string text = to_markdown(std::vector{table_of(made_bench_with_budgets())});
    CHECK_THAT(text, ContainsSubstring("### Suite `smollm2`, protocol `prefill`\n"));
    CHECK_THAT(text, ContainsSubstring("a scorer sees the prompt alone, once, at its end"));
    CHECK_THAT(text, ContainsSubstring(
                         "| rank | scorer | reads | output error | against best published | gap closed: output error "
                         "| gap closed: attention loss | output error 0.10 | output error 0.50 | attention "
                         "loss 0.10 | attention loss 0.50 |\n"));
    CHECK_THAT(text, ContainsSubstring("\n| 1 | `=mine` |  | 0.1200 ["));
    CHECK_THAT(text, ContainsSubstring("] win | +40.0 % | -60.0 % | 0.1600 | 0.0800 | 0.1800 | 0.0900 |\n"));
    CHECK_THAT(text, ContainsSubstring("| best published | +0.0 % |"));
    CHECK_THAT(text, ContainsSubstring("With head budgets (compared"));
    CHECK_THAT(text, ContainsSubstring("| 0.10: 0.087, 0.50: 0.510 |\n"));
    CHECK_THAT(text, ContainsSubstring("| scorer | prose (3) | code (2) | list (1) |\n"));
    CHECK_THAT(text, ContainsSubstring("| `snapkv@kvpress` | 0.1250 | 0.1125 | 0.3000 |\n"));
    CHECK_THAT(text, ContainsSubstring("is no bound for the output error"));
    CHECK_THAT(text, ContainsSubstring("| `=mine` | formula | 0.1200 | 0.1200 |"));
    const std::string brief = to_markdown(std::vector{table_of(made_bench_with_budgets())}, Detail::brief);
    CHECK_THAT(brief, ContainsSubstring("<details><summary>By kind of document"));
    CHECK_THAT(brief, !ContainsSubstring("evictlab bench"));
}

TEST_CASE("a row's class is the result's own, or follows from its plugin or formula where these are known") {
    Bench bench = made_bench_with_budgets();
    bench.rows[2].formula = "window_attn:8 + expected_attn";
    bench.rows[1].scorer_class = ScorerClass{.attention = 7}; // another version's, whose figures these are
    const auto table = table_of(bench);
    const std::string text = to_markdown(std::vector{table});
    for (const char* row :
         {"| 2 | `snapkv@kvpress` | q64 |", "| 3 | `tova@kvpress` | q7 |", "| 1 | `=mine` | q8 + all q |",
          "| 1 | `adakv(snapkv@kvpress)` | q64 |", "| 2 | `my_budgets` |  |", "| bound | `oracle` |  |"})
        CHECK_THAT(text, ContainsSubstring(row));
    CHECK_THAT(text, ContainsSubstring("\"reads\": kv, nothing of queries"));
    const Json json = to_json(std::vector{table})["suites"][0];
    CHECK(json["rows"][2]["class"]["query_aware"] == true);
    CHECK(json["rows_with_uneven_budgets"][1]["class"]["budgets"] == "head");
    CHECK_FALSE(json["rows_with_uneven_budgets"][2].contains("class"));
}

TEST_CASE("a suite without output projections has attention loss alone, and no empty second table") {
    Bench bench = made_bench({made_row("snapkv@kvpress", 0.2, 0), made_row("evolved", 0.15, 0)});
    bench.measure = "attention_loss";
    bench.more_measures.clear();
    for (auto& row : bench.rows) row.more_splits.clear();
    const std::string text = to_markdown(std::vector{table_of(bench)});
    CHECK_THAT(text, ContainsSubstring(
                         "| rank | scorer | reads | attention loss | against best published | gap closed: attention "
                         "loss | attention loss 0.10 | attention loss 0.50 |\n"));
    CHECK_THAT(text, !ContainsSubstring("utput error"));
    CHECK_THAT(text, !ContainsSubstring("With head budgets"));
}

TEST_CASE("JSON of a captured suite has intervals, measures, kinds and both groups") {
    const Json json = to_json(std::vector{table_of(made_bench_with_budgets())})["suites"][0];
    CHECK(json["measure"] == "output_error");
    CHECK(json["best_published_with_uneven_budgets"] == "adakv(snapkv@kvpress)");
    CHECK(json["kinds"].dump() == R"({"prose":3,"code":2,"list":1})");
    const Json& mine = json["rows"][1];
    CHECK(mine["scorer"] == "=mine");
    CHECK(mine["win"] == true);
    CHECK(mine["against_best_published"]["interval"][1].get<double>() < 0);
    CHECK(mine["gaps_closed"]["attention_loss"]["0.50"].get<double>() == Approx(-0.6));
    CHECK(mine["measures"]["attention_loss"]["test"]["0.10"].get<double>() == Approx(0.18));
    CHECK(mine["kinds"]["list"].get<double>() == Approx(0.24));
    CHECK(mine["retention_used"]["0.10"] == 0.0996);
    CHECK_FALSE(mine.contains("improvement_over_hybrid"));
    CHECK(json["rows_with_uneven_budgets"][1]["rank"] == 1);
}

TEST_CASE("a row of a captured suite is measured again by its protocol, measure and retentions") {
    auto table = table_of(made_bench_with_budgets());
    const auto& row = find(table.uniform(), "snapkv@kvpress").scorecard;
    CHECK(bench_command(table, row) == "evictlab bench --suite smollm2 --scorers snapkv@kvpress "
                                       "--split test --retention 0.10,0.50");
    table.retentions = {0.1, 0.25, 0.5, 0.75};
    CHECK(bench_command(table, find(table.of({BudgetKind::head}), "adakv(snapkv@kvpress)").scorecard) ==
          "evictlab bench --suite smollm2 --scorers 'adakv(snapkv@kvpress)' --split test");
    table.protocol = "decode";
    table.measure = "attention_loss";
    CHECK(bench_command(table, row) == "evictlab bench --suite smollm2 --scorers snapkv@kvpress --protocol decode "
                                       "--measure attention_loss --split test");
}

TEST_CASE("measures are tables of their own, and a suite without test documents is refused") {
    Bench other = made_bench_with_budgets();
    std::swap(other.measure, other.more_measures[0]);
    for (auto& row : other.rows) std::swap(row.splits, row.more_splits[0]);
    const std::vector<LeaderboardInput> both{{"a.json", made_bench_with_budgets(), std::nullopt},
                                             {"b.json", other, std::nullopt}};
    CHECK(leaderboard_of(both).size() == 2);
    Bench empty = with_documents(made_bench_with_budgets(), 0);
    for (auto& row : empty.rows) row.splits[2] = {{NAN, NAN}, NAN, {}};
    CHECK_THROWS_WITH(table_of(empty), "made.json: the suite smollm2 has no test documents, which a leaderboard shows");
}

TEST_CASE("a terminal's table and CSV show every measure and whose budgets are uneven") {
    const std::string text = render(made_bench_with_budgets(), Format::table);
    CHECK_THAT(text, ContainsSubstring("rank  scorer                 kind     budgets  output_error   @0.10   @0.50"));
    CHECK_THAT(text, ContainsSubstring("   1  adakv(snapkv@kvpress)  plugin   head           0.0900"));
    CHECK_THAT(text, ContainsSubstring("attention_loss\n"));
    const std::string csv = render(made_bench_with_budgets(), Format::csv);
    CHECK_THAT(csv, ContainsSubstring("budgets,test_avg,test_0.10,test_0.50,valid_avg"));
    CHECK_THAT(csv, ContainsSubstring(",attention_loss_test_avg,attention_loss_test_0.10,"));
    CHECK_THAT(csv, ContainsSubstring(",retention_used_test_0.10,retention_used_test_0.50,formula\n"));
    CHECK_THAT(csv, ContainsSubstring(",0.0875,0.51,\n"));
}

TEST_CASE("what stands below a terminal's table says how sure its figures are") {
    const PluginHost plugins;
    const Bench bench = made_bench_with_budgets();
    const std::string sure = bench_notes(bench, plugins);
    CHECK_THAT(sure, ContainsSubstring("Documents: 6 test, 6 valid, 6 train.\n"));
    CHECK_THAT(sure, ContainsSubstring("output_error: squared change of the attention block's output over the output's "
                                       "square, a ratio, without unit; lower is better.\n"));
    CHECK_THAT(sure, ContainsSubstring("Means over layers and judged queries, then documents;"));
    CHECK_THAT(sure,
               ContainsSubstring("output error against snapkv@kvpress, the best published row: difference and its "
                                 "paired 95 % interval over 6 documents:\n  =mine: -0.0300 [-0.0") &&
                   ContainsSubstring("], lower\n  tova@kvpress: +0.0750 [") && ContainsSubstring("], higher\n"));
    CHECK_THAT(sure,
               ContainsSubstring("against adakv(snapkv@kvpress), the best published row of those with head budgets") &&
                   !ContainsSubstring("random") && !ContainsSubstring("too few"));
    for (const std::size_t count : {std::size_t{5}, std::size_t{1}}) {
        const std::string few = bench_notes(with_documents(bench, count), plugins);
        CHECK_THAT(few, ContainsSubstring(count == 1 ? "\n1 document: too few to tell rows apart, so"
                                                     : "\n5 documents: too few to tell rows apart, so"));
        const std::string table = render(with_documents(bench, count), Format::table);
        CHECK_THAT(table, ContainsSubstring("    -  snapkv@kvpress") && ContainsSubstring("bound  oracle"));
        CHECK_THAT(render(with_documents(bench, count), Format::csv), ContainsSubstring(",,snapkv@kvpress,plugin,"));
        CHECK_THAT(few, !ContainsSubstring("interval"));
    }
}

TEST_CASE("a bench by valid says nothing of test, and ranks by what it shows") {
    Bench bench = made_bench_with_budgets();
    bench.rows[2].splits[static_cast<std::size_t>(Split::valid)] = made_errors(0.5); // =mine, the best on test
    const std::string test = render(shown_by(bench, Split::test), Format::table);
    CHECK_THAT(test, ContainsSubstring("    1  =mine"));
    const Bench valid = shown_by(bench, Split::valid);
    CHECK_THAT(render(valid, Format::table), ContainsSubstring("    1  snapkv@kvpress") && !ContainsSubstring("n/a"));
    CHECK_THAT(bench_notes(valid, PluginHost{}),
               ContainsSubstring("Documents: 6 valid, 6 train. Figures are of the valid split;") &&
                   ContainsSubstring("  =mine: +") && ContainsSubstring("], higher\n"));
    CHECK_THAT(render(valid, Format::csv),
               !ContainsSubstring("test") && ContainsSubstring(",valid,6,1,snapkv@kvpress,"));
    CHECK(usual_split(bench.traces) == Split::valid);
    bench.traces[static_cast<std::size_t>(Split::valid)].clear();
    CHECK(usual_split(bench.traces) == Split::test);
    CHECK_THROWS_WITH(shown_by(bench, Split::valid),
                      "--split is valid, but the suite smollm2 has no valid traces; it has some in test");
}

TEST_CASE("documents that the model cannot do are in no comparison below a terminal's table") {
    const PluginHost plugins;
    Bench bench = made_bench_with_budgets();
    bench.traces[2][3].left_out = "the model answers 1 of 6 lookups without eviction";
    CHECK_THAT(
        bench_notes(bench, plugins),
        ContainsSubstring("\nBy itself the model cannot do 1 of the 6 documents that rank; it is in the table, in "
                          "no comparison.\n"
                          "5 documents: too few to tell rows apart, so there are no ranks; 6 would do.\n"));
    for (TraceLabel& document : bench.traces[2]) document.left_out = "nothing is answered";
    CHECK_THAT(bench_notes(bench, plugins),
               ContainsSubstring("figures on them carry no claim") && !ContainsSubstring("interval"));
}

TEST_CASE("rows that disagree are not told apart, and without a published one nothing is compared") {
    const PluginHost plugins;
    Bench bench = made_bench_with_budgets();
    bench.rows[2].splits[2].by_trace = bench.rows[0].splits[2].by_trace;
    bench.rows[2].splits[2].by_trace[3] = {0.05, 0.05};
    bench.rows[2].splits[2].by_trace[0] = {0.12, 0.09};
    CHECK_THAT(bench_notes(bench, plugins), ContainsSubstring("], not told apart\n"));
    CHECK_THAT(bench_notes(made_bench({made_row("=mine", 0.1, 0.1, RowKind::formula)}), plugins),
               ContainsSubstring("No published method is among the rows to compare them with.\n"));
}

TEST_CASE("a bare name that runs the seed's rule is told of what is published") {
    const PluginHost plugins;
    Bench bench = made_bench({made_row("snapkv", 0.2, 0.2), made_row("adakv(snapkv:window=16)", 0.3, 0.2),
                              made_row("knorm", 0.3, 0.3), made_row("h2o@seed", 0.3, 0.3)});
    const std::string text = bench_notes(bench, plugins);
    CHECK_THAT(text, ContainsSubstring("snapkv is the seed's rule; the published ones are snapkv@kvpress and "
                                       "snapkv@paper. snapkv:window=16 is the seed's rule;") &&
                         !ContainsSubstring("knorm is") && !ContainsSubstring("h2o@seed is"));
    CHECK_THAT(to_markdown(std::vector{table_of(bench)}),
               ContainsSubstring("`snapkv` is the seed's rule; the published ones are `snapkv@kvpress` and "));
    bench.protocol = "rescore"; // where the seed's rules are compared
    CHECK_THAT(bench_notes(bench, plugins), !ContainsSubstring("seed's rule"));
}

} // namespace evictlab::report
