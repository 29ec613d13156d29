// The seed's journey, replayed: every step's figures to the reference, and what our gates say of it.
// SPDX-License-Identifier: MIT
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>

#include "evolution/seed_journey.hpp"
#include "framework/suite/suite.hpp"
#include "tests/support/catch.hpp"

using namespace evictlab;
using namespace evictlab::evolution;

namespace {

const std::vector<JourneyRow>& rows() {
    static const std::vector<JourneyRow> replayed = [] {
        const Suite suite = make_suite("micro");
        return replay_seed_journey(FitnessEvaluator(suite.search_traces(), {0.25, 0.5, 0.75}));
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

TEST_CASE("the table shows the seed's figures and ours") {
    const std::string table = journey_table(rows());
    CHECK_THAT(table, ContainsSubstring("| 2 | `layer_aware` | 6.92% | CHAMPION | 6.92% |"));
    CHECK_THAT(table, ContainsSubstring("| 1 | `entropy_based` | +46% worse | REJECTED |"));
    CHECK_THAT(table, ContainsSubstring("7.07% | CHAMPION | 7.07% | 6.87% |"));
}
