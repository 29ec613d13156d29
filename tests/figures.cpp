// Every figure measured with the original program, to 1e-6: plugins and their formula twins on micro and full.
// SPDX-License-Identifier: MIT
#include <algorithm>
#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>

#include "evolution/seed_journey.hpp"
#include "framework/bench/scorecard.hpp"
#include "framework/capture/suites.hpp"
#include "framework/scorers/published.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/originals.hpp"

using namespace evictlab;
using evictlab::test::original_names;

namespace {

nlohmann::json expected(const std::string& file) {
    return nlohmann::json::parse(std::ifstream(EVICTLAB_TEST_DATA "/expected/" + file + ".json"))["splits"];
}

void check_row(const ScorecardRow& row, const std::string& name, const nlohmann::json& splits) {
    for (const Split split : generated_splits) {
        const nlohmann::json& want = splits[std::string(to_string(split))][name];
        const SplitErrors& got = row.splits[static_cast<std::size_t>(split)];
        INFO(row.scorer << " on " << to_string(split));
        REQUIRE(want.is_object());
        CHECK(std::fabs(got.by_retention[0] - want["25"].get<double>()) < 1e-6);
        CHECK(std::fabs(got.by_retention[1] - want["50"].get<double>()) < 1e-6);
        CHECK(std::fabs(got.by_retention[2] - want["75"].get<double>()) < 1e-6);
        CHECK(std::fabs(got.average - want["avg"].get<double>()) < 1e-6);
    }
}

/// Plugins, twins ("twin h2o@seed") and the steps of the seed's journey ("gen2_layer_aware") in one pass.
Bench bench_everything(const std::string& suite, bool twins) {
    const PluginHost host(std::vector<std::filesystem::path>{EVICTLAB_PLUGIN_FOLDER});
    std::vector<Scorer> scorers;
    for (Scorer& scorer : all_scorers(host))
        if (original_names.contains(scorer.label())) scorers.push_back(std::move(scorer));
    REQUIRE(scorers.size() == original_names.size());
    if (twins)
        for (const auto& [label, name] : original_names)
            if (const auto twin = formula_twin(label, host))
                scorers.push_back(Scorer::from_formula("twin " + label, formula::parse(*twin)));
    for (const evolution::JourneyStep& step : evolution::seed_journey())
        if (step.generation >= 2)
            scorers.push_back(Scorer::from_formula(std::string(step.name), formula::parse(step.formula)));
    Bench bench = run_bench(make_suite(suite), scorers);
    REQUIRE(bench.failures.empty());
    return bench;
}

void check_figures(const std::string& suite, bool twins) {
    const Bench bench = bench_everything(suite, twins);
    const auto rows = expected(suite);
    const auto journey = expected("journey-" + suite);
    std::size_t checked_twins = 0, checked_steps = 0;
    for (const ScorecardRow& row : bench.rows) {
        if (row.scorer == "oracle") {
            check_row(row, "oracle", rows);
        } else if (const auto at = original_names.find(row.scorer); at != original_names.end()) {
            check_row(row, at->second, rows);
        } else if (row.scorer.starts_with("twin ")) {
            check_row(row, original_names.at(row.scorer.substr(5)), rows);
            const auto& plugin = *std::ranges::find(bench.rows, row.scorer.substr(5), &ScorecardRow::scorer);
            for (const Split split : generated_splits)
                for (std::size_t r = 0; r < 3; ++r)
                    CHECK(row.splits[static_cast<std::size_t>(split)].by_retention[r] ==
                          Approx(plugin.splits[static_cast<std::size_t>(split)].by_retention[r]).epsilon(1e-12));
            ++checked_twins;
        } else {
            check_row(row, row.scorer, journey);
            ++checked_steps;
        }
    }
    CHECK(checked_steps >= 9);
    if (twins) CHECK(checked_twins == original_names.size());
}

} // namespace

TEST_CASE("micro: plugins, twins and the seed's journey give the original's figures") { check_figures("micro", true); }

TEST_CASE("full: plugins and the seed's journey give the original's figures") { check_figures("full", false); }

TEST_CASE("The seed's printed table is reproduced") {
    PluginHost host(std::vector<std::filesystem::path>{EVICTLAB_PLUGIN_FOLDER});
    const std::vector<Scorer> scorers{make_scorer("hybrid", host), make_scorer("evolved", host)};
    const Bench bench = run_bench(make_suite("micro"), scorers);
    const double printed[3][3] = {{0.4785, 0.4447, 7.07}, {0.4796, 0.4467, 6.87}, {0.4792, 0.4463, 6.85}};
    for (std::size_t split = 0; split < 3; ++split) {
        const double baseline = bench.rows[0].splits[split].average, evolved = bench.rows[1].splits[split].average;
        CHECK(std::fabs(baseline - printed[split][0]) < 5e-5);
        CHECK(std::fabs(evolved - printed[split][1]) < 5e-5);
        CHECK(std::fabs(100 * (baseline - evolved) / baseline - printed[split][2]) < 5e-3);
    }
}
