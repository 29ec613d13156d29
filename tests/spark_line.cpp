// Spark lines, and the words about a run that live view, status and log share.
// SPDX-License-Identifier: MIT
#include <cstdlib>
#include <limits>

#include "report/run_text.hpp"
#include "report/spark_line.hpp"
#include "tests/support/catch.hpp"

using namespace evictlab;
using report::Glyphs;
using report::spark_line;

TEST_CASE("a spark line goes from its lowest to its highest value") {
    const std::vector<double> rising{0, 1, 2, 3, 4, 5, 6, 7};
    CHECK(spark_line(rising, 8, Glyphs::unicode) == "▁▂▃▄▅▆▇█");
    CHECK(spark_line(rising, 8, Glyphs::ascii) == "_.:-=+*#");
    CHECK(spark_line(std::vector{0.37, 0.36, 0.30}, 40, Glyphs::unicode) == "█▇▁");
    CHECK(spark_line(std::vector{0.5, 0.5, 0.5}, 40, Glyphs::ascii) == "___");
    CHECK(spark_line({}, 40, Glyphs::unicode).empty());
    CHECK(spark_line(rising, 0, Glyphs::unicode).empty());
}

TEST_CASE("a long series is narrowed to the width, its last value kept") {
    std::vector<double> falling(100);
    for (std::size_t i = 0; i < falling.size(); ++i) falling[i] = static_cast<double>(falling.size() - i);
    const std::string line = spark_line(falling, 10, Glyphs::ascii);
    CHECK(line.size() == 10);
    CHECK(line.back() == '_');
    CHECK(line.find_first_of("*#") == 0);
}

TEST_CASE("what is no number is a blank in a spark line") {
    const double none = std::numeric_limits<double>::quiet_NaN(), endless = std::numeric_limits<double>::infinity();
    CHECK(spark_line(std::vector{1.0, none, 0.0, endless}, 9, Glyphs::ascii) == "# _ ");
    CHECK(spark_line(std::vector{none, none}, 9, Glyphs::unicode) == "  ");
}

TEST_CASE("the locale decides between blocks and ASCII") {
    for (const char* name : {"LC_ALL", "LC_CTYPE", "LANG"}) ::unsetenv(name);
    CHECK(report::glyphs_of_environment() == Glyphs::ascii);
    ::setenv("LANG", "de_DE.UTF-8", 1);
    CHECK(report::glyphs_of_environment() == Glyphs::unicode);
    ::setenv("LC_ALL", "", 1);
    CHECK(report::glyphs_of_environment() == Glyphs::unicode);
    ::setenv("LC_CTYPE", "C", 1);
    CHECK(report::glyphs_of_environment() == Glyphs::ascii);
    ::setenv("LC_ALL", "C.utf8", 1);
    CHECK(report::glyphs_of_environment() == Glyphs::unicode);
}

TEST_CASE("the start is left out of a run's spark lines once there is more") {
    std::vector<evolution::HistoryLine> history(1);
    history[0].best_train = 0.45, history[0].champion_valid = 0.46;
    CHECK(report::error_sparks(history, 9, Glyphs::ascii).train == "_");
    for (const double error : {0.37, 0.36, 0.35}) {
        auto& line = history.emplace_back(history.back());
        ++line.generation, line.best_train = error;
    }
    CHECK(report::error_sparks(history, 9, Glyphs::ascii).train == "#=_");
    CHECK(report::error_sparks(history, 9, Glyphs::ascii).valid == "___");
    history.erase(history.begin()); // as a long run's history begins
    CHECK(report::error_sparks(history, 9, Glyphs::ascii).train == "#=_");
}

TEST_CASE("shares are of what was made, and told where there are any") {
    evolution::Counters counters;
    CHECK(report::shares_text(shares_of(counters)) == "0 % duplicates");
    counters.candidates = 50, counters.duplicates = 40, counters.semantic_duplicates = 10, counters.raced_out = 5;
    CHECK(report::shares_text(shares_of(counters)) ==
          "40 % duplicates, 10 % semantic duplicates, 10 % out of the race");
}

TEST_CASE("the time left is that to the nearest limit at the pace so far") {
    evolution::RunState state;
    state.generation = 20, state.counters.evaluations = 1000;
    const evolution::Pace pace{50, 10, 500}; // resumed at generation 10
    evolution::RunLimits limits;
    CHECK_FALSE(seconds_left(limits, state, pace, 50));
    limits.generations = 40;
    CHECK(seconds_left(limits, state, pace, 50).value() == Approx(100));
    CHECK_FALSE(seconds_left(limits, state, {}, 0));
    limits.seconds = 80;
    CHECK(seconds_left(limits, state, pace, 50).value() == Approx(30));
    limits.evaluations = 1100;
    CHECK(seconds_left(limits, state, pace, 50).value() == Approx(10));
    limits.evaluations = 900;
    CHECK(seconds_left(limits, state, pace, 50).value() == Approx(0));
}
