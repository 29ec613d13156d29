// The seed's journey, replayed: every step's figures to the reference, and what our gates say of it.
// SPDX-License-Identifier: MIT
#include <algorithm>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>

#include "evolution/seed_journey.hpp"
#include "framework/capture/suites.hpp"
#include "framework/fitness/rescore_fitness.hpp"
#include "tests/support/catch.hpp"

using namespace evictlab;
using namespace evictlab::evolution;

namespace {

const std::vector<JourneyRow>& rows() {
    static const std::vector<JourneyRow> replayed = [] {
        const Suite suite = make_suite("micro");
        return replay_seed_journey(RescoreFitness(suite.search_traces(), {0.25, 0.5, 0.75}));
    }();
    return replayed;
}

const JourneyRow& row(std::string_view name) {
    for (const JourneyRow& each : rows())
        if (each.step.name == name) return each;
    throw Error("no step " + std::string(name));
}

void check_errors(const FormulaErrors& ours, const nlohmann::json& expected) {
    const char* const keys[] = {"25", "50", "75"};
    REQUIRE(ours.by_retention.size() == 3);
    for (std::size_t i = 0; i < 3; ++i)
        CHECK(ours.by_retention[i] == Approx(expected.at(keys[i]).get<double>()).margin(1e-6));
    CHECK(ours.average == Approx(expected.at("avg").get<double>()).margin(1e-6));
}

} // namespace

TEST_CASE("generations 2 to 4 have the figures of the original") {
    std::ifstream in(EVICTLAB_TEST_DATA "/expected/journey-micro.json");
    const auto expected = nlohmann::json::parse(in);
    int checked = 0;
    for (const JourneyRow& each : rows()) {
        if (each.step.generation == 1) continue;
        INFO(each.step.name);
        check_errors(each.candidate.train, expected["splits"]["train"].at(std::string(each.step.name)));
        check_errors(*each.candidate.valid, expected["splits"]["valid"].at(std::string(each.step.name)));
        ++checked;
    }
    CHECK(checked == 9);
}

TEST_CASE("the improvements that the seed printed for its champions come out again") {
    CHECK(row("gen2_layer_aware").train_improvement == Approx(6.92).margin(0.005));
    CHECK(row("gen3_layer_aware_key_norm").train_improvement == Approx(7.00).margin(0.005));
    CHECK(row("gen3_full_crossover").train_improvement == Approx(7.05).margin(0.005));
    CHECK(row("gen4_champion").train_improvement == Approx(7.07).margin(0.005));
    CHECK(row("gen4_champion").valid_improvement == Approx(6.87).margin(0.005));
}

TEST_CASE("the strategies of generation 1 fail again, and the journey's steps pass the gates or say why not") {
    for (const JourneyRow& each : rows()) {
        INFO(each.step.name << ": " << each.candidate.reason);
        if (each.step.generation == 1) CHECK(each.candidate.status == Status::rejected);
        CHECK_FALSE(each.candidate.hypothesis.empty());
        CHECK_THAT(each.candidate.reason, ContainsSubstring("train 0."));
    }
    CHECK(row("gen2_layer_aware").candidate.status == Status::champion);
    CHECK(row("gen2_position_02").candidate.status == Status::rejected);
}

TEST_CASE("the journey has the seed's thirteen steps, in order, each judged as its place is") {
    const std::vector<std::string> names{
        "gen1_multiplicative", "gen1_entropy_based", "gen1_softmax_temperature",  "gen1_complex_layer_adaptive",
        "gen2_layer_aware",    "gen2_weight_70_30",  "gen2_weight_50_50",         "gen2_key_norm",
        "gen2_position_02",    "gen2_position_04",   "gen3_layer_aware_key_norm", "gen3_full_crossover",
        "gen4_champion"};
    REQUIRE(rows().size() == names.size());
    const Candidate* champion = nullptr; // the first one, which is no step, is not among the rows
    for (std::size_t i = 0; i < names.size(); ++i) {
        const JourneyRow& each = rows()[i];
        const Candidate& candidate = each.candidate;
        INFO(names[i]);
        CHECK(each.step.name == names[i]);
        CHECK(candidate.id == names[i]);
        CHECK(candidate.generation == each.step.generation);
        CHECK(candidate.generation == static_cast<std::uint32_t>(names[i][3] - '0'));
        CHECK(candidate.slot == i);
        CHECK(candidate.op == each.step.mutation);
        CHECK(candidate.hypothesis == each.step.hypothesis);
        CHECK(candidate.parents == std::vector<std::string>(each.step.parents.begin(), each.step.parents.end()));
        CHECK(candidate.genome.hash_text() == canonical_hash(formula::parse(each.step.formula)));
        // Against its best parent on train, then against the champion of that time on both splits.
        double best = 1e9;
        for (const std::string& parent : candidate.parents)
            if (parent != "start_formula") best = std::min(best, row(parent).candidate.train.average);
        if (candidate.parents.front() != "start_formula")
            CHECK((candidate.status == Status::rejected) == !(candidate.train.average < best));
        if (champion && candidate.status != Status::rejected)
            CHECK((candidate.status == Status::champion) == (candidate.train.average < champion->train.average &&
                                                             candidate.valid->average < champion->valid->average));
        if (candidate.status == Status::champion) champion = &candidate;
    }
    const JourneyRow& aware = row("gen2_layer_aware");
    CHECK_THAT(aware.candidate.reason,
               ContainsSubstring("is below its parent's") && ContainsSubstring("beats the champion"));
    // Improvements are over one baseline: 100 * (baseline - error) / baseline.
    const double baseline = aware.candidate.train.average / (1 - aware.train_improvement / 100);
    const double valid_baseline = aware.candidate.valid->average / (1 - aware.valid_improvement / 100);
    for (const JourneyRow& each : rows()) {
        CHECK(each.train_improvement ==
              Approx(100 * (baseline - each.candidate.train.average) / baseline).margin(1e-9));
        CHECK(each.valid_improvement ==
              Approx(100 * (valid_baseline - each.candidate.valid->average) / valid_baseline).margin(1e-9));
    }
}

TEST_CASE("the table shows the seed's figures and ours") {
    const std::string table = journey_table(rows());
    CHECK_THAT(table, ContainsSubstring("| 2 | `layer_aware` | 6.92% | CHAMPION | 6.92% |"));
    CHECK_THAT(table, ContainsSubstring("| 1 | `entropy_based` | +46% worse | REJECTED |"));
    CHECK_THAT(table, ContainsSubstring("7.07% | CHAMPION | 7.07% | 6.87% |"));
    CHECK_THAT(table, ContainsSubstring("| 2 | `weight_50_50` | - | - |")); // the seed printed nothing of it
    CHECK_THAT(table, ContainsSubstring("| Generation | Mutation | Seed: result | Seed: status | Ours: train |"));
    CHECK(std::count(table.begin(), table.end(), '\n') == 2 + 13 + 2);
}
