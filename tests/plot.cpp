// Plots: labels that do not overlap, axes, and what a leaderboard's plot has in it where gnuplot is there to draw it.
// SPDX-License-Identifier: MIT
#include "report/plot.hpp"

#include <unistd.h>

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <fstream>

#include "base/text/shown.hpp"
#include "report/gnuplot.hpp"
#include "report/plot_layout.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/leaderboards.hpp"
#include "tests/support/made_benches.hpp"

namespace evictlab::report {
namespace {

namespace fs = std::filesystem;

LeaderboardTable made_table() {
    Bench bench = made_bench_with_budgets();
    bench.rows.push_back(made_row("lagkv@paper", 0, 0));
    bench.rows.back().retention_used.fill({1, 1});
    bench.rows[2].scorer = "=it's_<mine>&{x}";
    return leaderboard_of(std::vector{LeaderboardInput{"made.json", bench, std::nullopt}}).at(0);
}

std::size_t count(const std::string& text, const std::string& word) {
    std::size_t found = 0;
    for (auto at = text.find(word); at != std::string::npos; at = text.find(word, at + 1)) ++found;
    return found;
}

/// With no program to be found on PATH.
class NoPath {
public:
    NoPath() : old_(std::getenv("PATH")) { ::setenv("PATH", "/nowhere", 1); }
    ~NoPath() { ::setenv("PATH", old_.c_str(), 1); }

private:
    std::string old_;
};

} // namespace

TEST_CASE("labels keep their distance and move no more than they must") {
    const std::vector<double> wanted{100, 50, 51, 52, 10};
    const auto places = spread_labels(wanted, 13, 0, 200);
    CHECK(places[0] == 100);
    CHECK(places[4] == 10);
    CHECK(places[1] == Approx(38)); // the three of one place spread about its middle
    CHECK(places[2] == Approx(51));
    CHECK(places[3] == Approx(64));
    const auto crowded = spread_labels({5, 5, 5, 5}, 13, 0, 200);
    CHECK(crowded == std::vector<double>{0, 13, 26, 39});
    const auto no_room = spread_labels({5, 6, 7}, 13, 0, 10);
    CHECK(no_room == std::vector<double>{0, 5, 10});
    CHECK(spread_labels({}, 13, 0, 10).empty());
    CHECK(spread_labels({500}, 13, 0, 10) == std::vector<double>{10});
}

TEST_CASE("an axis is logarithmic where values span much, and starts at zero elsewhere") {
    const Axis narrow({0.2, 0.8}, 0, 100);
    CHECK_FALSE(narrow.logarithmic());
    CHECK(narrow.low() == 0);
    CHECK(narrow.place(narrow.high() / 2) == Approx(50));
    const Axis wide({0.001, 1, 0, 1e-14}, 0, 100);
    CHECK(wide.logarithmic());
    CHECK(wide.place(std::sqrt(wide.low() * wide.high())) == Approx(50));
    CHECK(wide.round_values() == std::vector<double>{0.001, 0.01, 0.1, 1});
    CHECK(Axis({0.01, 0.5}, 0, 1).round_values() == std::vector<double>{0.01, 0.02, 0.05, 0.1, 0.2, 0.5});
    CHECK(std::isfinite(Axis({}, 0, 100).place(0.5)));
}

TEST_CASE("a plot has a panel a measure and a label a row in each") {
    const auto table = made_table();
    const std::string script = plot_script(table);
    CHECK(count(script, "set title") == 2);
    CHECK(count(script, "\"oracle (layer budget)\"") == 2);
    CHECK(count(script, "\n0.0875 ") == 2); // my_budgets, at the retention really used
    CHECK(count(script, "lagkv") == 0);     // it keeps all
    const auto svg = run_gnuplot(script);
    if (!svg) return; // gnuplot is not installed
    CHECK_THAT(*svg, ContainsSubstring("<svg"));
    CHECK_THAT(*svg, ContainsSubstring("</svg>"));
    CHECK(count(*svg, "=it's_&lt;mine>&amp;{x}") == 2);
    CHECK(count(*svg, "best published") == 2); // and the one with head or layer budgets
    CHECK(count(*svg, "output error") == 1);
    CHECK(run_gnuplot(script) == svg);
}

TEST_CASE("of many rows only those that stand out have names, and the others are a band") {
    Bench bench = made_bench_with_budgets();
    for (int i = 0; i < 30; ++i) bench.rows.push_back(made_row(fmt::format("=mine_{}", i), 0.2 + 0.01 * i, 0.3));
    const auto table = leaderboard_of(std::vector{LeaderboardInput{"made.json", bench, std::nullopt}}).at(0);
    const std::string script = plot_script(table);
    CHECK(count(script, " others, from best to worst\"") == 2);
    CHECK(count(script, "with filledcurves") == 2);
    CHECK(count(script, "\"=mine_") <= 2); // the best of them alone, a panel
    CHECK(count(script, "\"oracle") >= 2);
    CHECK(count(script, "\"random\"") == 3); // and in the key
    if (const auto svg = run_gnuplot(script)) CHECK(count(*svg, " others, from best to worst") == 2);
}

TEST_CASE("names in a plot are text, whatever they are, and run nothing") {
    const fs::path folder = fs::temp_directory_path() / ("evictlab-plot-words-" + std::to_string(::getpid()));
    fs::create_directories(folder);
    const std::string marker = (folder / "ran").string();
    const std::vector<std::string> names{"x\n!touch " + marker + "\n#",
                                         "x'\nsystem('touch " + marker + "')\n'",
                                         "`touch " + marker + "`",
                                         "x\"; !touch " + marker,
                                         "@marker ${x} \\",
                                         "{/Bold y}_a^b~c&d",
                                         "<script>alert(1)</script>&amp;",
                                         "it''s 'quoted'",
                                         "\x1b[31m\xe2\x80\xae\xff",
                                         "END\nEND\n",
                                         "$(touch " + marker + ")",
                                         "%s %d %n"};
    for (const std::string& name : names) {
        auto table = made_table();
        table.suite = name;
        table.groups[0].rows[0].scorecard.scorer = name;
        table.groups[0].rows[1].scorecard.scorer = name.substr(0, 20) + "'";
        const auto svg = run_gnuplot(plot_script(table));
        CAPTURE(name);
        CHECK_FALSE(fs::exists(marker));
        if (!svg) continue;       // gnuplot is not installed
        std::string drawn = *svg; // gnuplot sets some lines in by a tab
        std::ranges::replace(drawn, '\t', ' ');
        CHECK(text::is_plain(drawn, true));
        CHECK(count(*svg, "<script") == 0);
        CHECK_THAT(*svg, ContainsSubstring("</svg>"));
        std::string shown = text::line(name, 29);
        for (const auto& [from, to] : {std::pair("&", "&amp;"), std::pair("<", "&lt;")})
            for (auto at = shown.find(from); at != std::string::npos; at = shown.find(from, at + 2))
                shown.replace(at, 1, to);
        CHECK_THAT(*svg, ContainsSubstring(shown));
    }
    fs::remove_all(folder);
}

TEST_CASE("gnuplot sees nothing of the user's settings") {
    const fs::path folder = fs::temp_directory_path() / ("evictlab-plot-home-" + std::to_string(::getpid()));
    fs::create_directories(folder);
    const std::string marker = (folder / "ran").string(), home = std::getenv("HOME") ? std::getenv("HOME") : "/";
    std::ofstream(folder / ".gnuplot") << "!touch " << marker << '\n';
    ::setenv("HOME", folder.c_str(), 1);
    ::setenv("GNUPLOT_LIB", folder.c_str(), 1);
    if (run_gnuplot("set terminal svg\nplot x\n")) CHECK_FALSE(fs::exists(marker));
    ::setenv("HOME", home.c_str(), 1);
    ::unsetenv("GNUPLOT_LIB");
    fs::remove_all(folder);
}

TEST_CASE("a table without figures has no plot, and figures of any size have one") {
    auto none = made_table();
    for (RowGroup* group : {&none.groups[0], &none.groups[1]})
        for (auto& row : group->rows)
            for (auto& errors : row.scorecard.splits) errors.average = std::nan("");
    auto huge = made_table();
    double size = 1e300;
    for (auto& row : huge.groups[0].rows)
        for (auto& errors : row.scorecard.splits) {
            for (double& error : errors.by_retention) error = size;
            errors.average = size;
            size = size > 1 ? 1e-300 : 1e308;
        }
    const fs::path folder = fs::temp_directory_path() / ("evictlab-plot-odd-" + std::to_string(::getpid()));
    const auto files = write_plots(std::vector{none, huge}, folder);
    if (!files.empty()) { // gnuplot is installed
        CHECK(files[0].empty());
        CHECK(fs::file_size(files[1]) > 1000);
    }
    fs::remove_all(folder);
}

TEST_CASE("plots are files by suite and protocol; names never collide") {
    if (!run_gnuplot("")) return; // gnuplot is not installed
    const fs::path folder = fs::temp_directory_path() / ("evictlab-plot-" + std::to_string(::getpid()));
    auto odd = made_table();
    odd.suite = "../odd name";
    const std::vector<LeaderboardTable> tables{made_table(), made_table(), odd};
    const auto files = write_plots(tables, folder / "plots");
    REQUIRE(files.size() == 3);
    CHECK(files[0] == folder / "plots" / "smollm2-prefill.svg");
    CHECK(files[1] == folder / "plots" / "smollm2-prefill-2.svg");
    CHECK(files[2] == folder / "plots" / ".._odd_name-prefill.svg");
    for (const auto& file : files) CHECK(fs::file_size(file) > 1000);
    fs::remove_all(folder);
}

TEST_CASE("without gnuplot there are no plots, and a script that fails is told in gnuplot's words") {
    if (run_gnuplot("")) CHECK_THROWS_WITH(run_gnuplot("no such command\n"), ContainsSubstring("gnuplot failed: "));
    const NoPath none;
    CHECK_FALSE(run_gnuplot("").has_value());
    CHECK(write_plots(std::vector{made_table()}, "/nowhere/plots").empty());
}

} // namespace evictlab::report
