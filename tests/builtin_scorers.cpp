// The built-in scorers and their formula twins give the original program's figures on the suite micro.
// SPDX-License-Identifier: MIT
#include <algorithm>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>

#include "framework/evaluation/scorecard.hpp"
#include "framework/evaluation/twins.hpp"
#include "tests/support/catch.hpp"

using namespace evictlab;

namespace {

// Our names, and the original's in its files of figures.
const std::map<std::string, std::string> original_names{{"streaming_llm@seed", "streaming_llm"},
                                                        {"h2o@seed", "h2o"},
                                                        {"snapkv@seed", "snapkv_lite"},
                                                        {"pyramidkv@seed", "pyramid_kv_seed"},
                                                        {"knorm@seed", "knorm_press"},
                                                        {"tova@seed", "tova_seed"},
                                                        {"position_corrected_h2o", "position_corrected_h2o"},
                                                        {"random@seed", "random"},
                                                        {"hybrid", "hybrid_baseline"},
                                                        {"hybrid_start", "start_formula"},
                                                        {"evolved", "evolved"}};

nlohmann::json expected_figures() {
    std::ifstream in(EVICTLAB_TEST_DATA "/expected/micro.json");
    return nlohmann::json::parse(in).at("splits");
}

double largest_difference(const ScorecardRow& row, const std::string& original, const nlohmann::json& expected) {
    double largest = 0;
    for (const Split split : all_splits) {
        const auto& ours = row.splits[static_cast<std::size_t>(split)];
        const auto& theirs = expected.at(std::string(to_string(split))).at(original);
        const char* retentions[] = {"25", "50", "75"};
        for (std::size_t r = 0; r < 3; ++r)
            largest = std::max(largest, std::abs(ours.by_retention[r] - theirs.at(retentions[r]).get<double>()));
        largest = std::max(largest, std::abs(ours.average - theirs.at("avg").get<double>()));
    }
    return largest;
}

} // namespace

TEST_CASE("every built-in scorer and its twin have the original's figures on micro") {
    const PluginHost host;
    auto scorers = all_scorers(host);
    REQUIRE(scorers.size() == original_names.size());
    for (const auto& name : scorers_with_twins())
        scorers.push_back(Scorer::from_formula("twin of " + name, formula::parse(*formula_twin(name))));
    const auto bench = run_bench(make_suite("micro"), scorers);
    CHECK(bench.failures.empty());
    const auto expected = expected_figures();
    std::size_t compared = 0;
    for (const auto& row : bench.rows) {
        const auto name = row.scorer.starts_with("twin of ") ? row.scorer.substr(8) : row.scorer;
        INFO(row.scorer);
        const auto at = original_names.find(name);
        if (at == original_names.end()) continue;
        CHECK(largest_difference(row, at->second, expected) < 1e-6);
        ++compared;
    }
    CHECK(compared == 2 * original_names.size());
}

TEST_CASE("every built-in scorer has a twin with the same scores to the last tie") {
    const PluginHost host;
    const auto suite = make_suite("micro", {.seq_len = 200, .num_layers = 3, .patterns = 2, .seed_offset = 77});
    for (const auto& scorer : all_scorers(host)) {
        INFO(scorer.label());
        REQUIRE(formula_twin(scorer.label()));
        const Scorer pair[] = {scorer, Scorer::from_formula("twin", formula::parse(*formula_twin(scorer.label())))};
        const auto bench = run_bench(suite, pair);
        for (std::size_t split = 0; split < 3; ++split)
            for (std::size_t r = 0; r < 3; ++r)
                CHECK(bench.rows[0].splits[split].by_retention[r] ==
                      Approx(bench.rows[1].splits[split].by_retention[r]).epsilon(1e-12));
    }
    CHECK_FALSE(formula_twin("random"));
    CHECK_FALSE(formula_twin("h2o@paper"));
    CHECK_FALSE(formula_twin("nothing"));
    CHECK(formula_twin("h2o") == formula_twin("h2o@seed"));
}

TEST_CASE("the constant in random's twin is the original's hash at every position a sequence can have") {
    const std::uint64_t hash = 42 * std::uint64_t{6364136223846793005};
    CHECK(0.49002167163416743 == static_cast<double>(hash >> 33) / 2147483648.0);
    CHECK((hash >> 33) == ((hash + 6165176989) >> 33));
}
