// The formula twins of the built-in scorers; that both have the original's figures is in figures.cpp.
// SPDX-License-Identifier: MIT
#include "framework/scorers/published.hpp"

#include "framework/bench/scorecard.hpp"
#include "framework/capture/captured_suite.hpp"
#include "framework/capture/suites.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/originals.hpp"

#include <set>
#include <string>

using namespace evictlab;

namespace {
const std::set<std::string> champions_with_formulas{"evolved@real", "evolved@keys", "evolved@small"};
} // namespace

TEST_CASE("every built-in scorer has a twin with the same scores to the last tie") {
    PluginHost host;
    const auto suite = make_suite("micro", {.seq_len = 200, .num_layers = 3, .patterns = 2, .seed_offset = 77});
    for (const auto& [name, original] : test::original_names) {
        INFO(name);
        REQUIRE(formula_twin(name, host));
        const Scorer pair[] = {make_scorer(name, host),
                               Scorer::from_formula("twin", formula::parse(*formula_twin(name, host)))};
        const auto bench = run_bench(suite, pair);
        for (std::size_t split = 0; split < 3; ++split)
            for (std::size_t r = 0; r < 3; ++r)
                CHECK(bench.rows[0].splits[split].by_retention[r] ==
                      Approx(bench.rows[1].splits[split].by_retention[r]).epsilon(1e-12));
    }
    CHECK_FALSE(formula_twin("random", host));
    CHECK_FALSE(formula_twin("h2o@paper", host));
    CHECK_FALSE(formula_twin("nothing", host));
    CHECK(formula_twin("h2o", host) == formula_twin("h2o@seed", host));
}

TEST_CASE("every formula that a plugin gives for synthetic suites is checked above, and every other is named here") {
    const PluginHost host;
    for (const std::string& name : scorers_with_twins(host)) {
        INFO(name);
        const bool same = formula_twin(name, host) == formula_twin(parse_scorer_name(name).id + "@seed", host);
        const bool champion = champions_with_formulas.contains(name); // compared below
        CHECK((test::original_names.contains(name) || same || champion));
    }
}

namespace {

/// On the test split, at four retentions.
void check_same_errors(const Suite& suite, const Scorer (&pair)[2]) {
    const auto bench = run_bench(suite, pair);
    const auto& errors = bench.rows[0].splits[2].by_retention;
    REQUIRE(errors.size() == 4);
    for (std::size_t r = 0; r < errors.size(); ++r)
        CHECK(errors[r] == Approx(bench.rows[1].splits[2].by_retention[r]).epsilon(1e-12));
}

} // namespace

TEST_CASE("champions with uniform budgets keep what their formulas keep") {
    PluginHost host;
    const Suite suite = open_captured_suite(*find_captured_suite("smollm2"));
    for (const std::string& name : champions_with_formulas) {
        INFO(name);
        const Scorer pair[] = {make_scorer(name, host),
                               Scorer::from_formula("twin", formula::parse(*formula_twin(name, host)))};
        CHECK(formula_twin(name, host) != formula_twin("evolved", host));
        check_same_errors(suite, pair);
    }
}

TEST_CASE("champions with budgets for the model keep what their formulas keep") {
    PluginHost host;
    const Suite suite = open_captured_suite(*find_captured_suite("smollm2"));
    for (const std::string name : {"budgets", "window"}) {
        INFO(name);
        const std::string formula = EVICTLAB_SOURCE_DIR "/docs/results/evolved-budgets/" + name + ".formula";
        const Scorer pair[] = {make_scorer("evolved@" + name, host),
                               make_scorer("global@kvpress(" + formula + ")", host)};
        check_same_errors(suite, pair);
    }
}

TEST_CASE("the constant in random's twin is the original's hash at every position a sequence can have") {
    const std::uint64_t hash = 42 * std::uint64_t{6364136223846793005};
    CHECK(0.49002167163416743 == static_cast<double>(hash >> 33) / 2147483648.0);
    CHECK((hash >> 33) == ((hash + 6165176989) >> 33));
}
