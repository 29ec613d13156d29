// The gates at, just below and just above their thresholds, and the reasons that they give.
// SPDX-License-Identifier: MIT
#include "evolution/gates.hpp"

#include <cmath>
#include <limits>

#include "tests/support/catch.hpp"
#include "tests/support/made_search.hpp"

using namespace evictlab;
using namespace evictlab::evolution;
using test::made_candidate;

namespace {

double below(double value) { return std::nextafter(value, -std::numeric_limits<double>::infinity()); }
double above(double value) { return std::nextafter(value, std::numeric_limits<double>::infinity()); }

Candidate with_errors(double train, double valid = 1) {
    return made_candidate("c", "recent_attn + key_norm", train, valid);
}

} // namespace

TEST_CASE("the train gate lets pass what is below its parent") {
    const Reference parent{0.5, 3}; // as many nodes as the candidate
    CHECK(gate_train(with_errors(below(0.5)), parent, 0.01).passed);
    CHECK_FALSE(gate_train(with_errors(0.5), parent, 0.01).passed);
    CHECK_FALSE(gate_train(with_errors(above(0.5)), parent, 0.01).passed);
    CHECK(gate_train(with_errors(0.25), {0.5, 1}, 0.01).passed); // however large
    CHECK(gate_train(with_errors(0.25), parent, 0).reason == "train 0.250000 is below its parent's 0.500000");
    CHECK(gate_train(with_errors(0.75), parent, 0).reason == "train 0.750000 is not below its parent's 0.500000");
    CHECK_FALSE(gate_train(with_errors(std::nan("")), parent, 0.01).passed);
}

TEST_CASE("the train gate lets pass what is smaller and no worse than its nodes are worth") {
    const Reference parent{0.5, 7}; // of which the candidate saves four
    const double most = 0.5 + 0.125 * 4;
    CHECK(gate_train(with_errors(0.5), parent, 0.125).passed);
    CHECK(gate_train(with_errors(most), parent, 0.125).passed);
    CHECK_FALSE(gate_train(with_errors(above(most)), parent, 0.125).passed);
    CHECK(gate_train(with_errors(0.5), parent, 0).passed);
    CHECK_FALSE(gate_train(with_errors(above(0.5)), parent, 0).passed);
    CHECK(gate_train(with_errors(0.625), {0.5, 4}, 0.125).passed); // one node
    CHECK_FALSE(gate_train(with_errors(0.75), {0.5, 4}, 0.125).passed);
    CHECK_FALSE(gate_train(with_errors(0.5), {0.5, 3}, 0.125).passed);  // none
    CHECK_FALSE(gate_train(with_errors(0.75), {0.5, 2}, 0.125).passed); // a node more
    CHECK(gate_train(with_errors(0.75), parent, 0.125).reason ==
          "train 0.750000 is about its parent's 0.500000 with 3 nodes instead of 7");
    Candidate tuned = with_errors(0.75);
    tuned.genome = test::made_parameters("a plugin", {1, 2, 3}, 1);
    CHECK(gate_train(tuned, {0.5, 3}, 0.125).reason ==
          "train 0.750000 is about its parent's 0.500000 with 1 changed parameters instead of 3");
}

TEST_CASE("near the champion is up to a twentieth above it") {
    CHECK(offline_slack == 0.05);
    const Candidate champion = with_errors(0.5, 9);
    const double most = (1 + offline_slack) * 0.5;
    CHECK(gate_nearness(with_errors(0.1), champion).passed);
    CHECK(gate_nearness(with_errors(most), champion).passed);
    CHECK_FALSE(gate_nearness(with_errors(above(most)), champion).passed);
    CHECK(gate_nearness(with_errors(0.51), champion).reason ==
          "train 0.510000 is near the champion's 0.500000, where the model decides");
    CHECK(gate_nearness(with_errors(0.6), champion).reason ==
          "train 0.600000 is neither below its parent's nor near the champion's 0.500000");
}

TEST_CASE("a champion must be beaten on train and on valid") {
    const Candidate champion = with_errors(0.5, 0.6);
    CHECK(gate_promotion(with_errors(below(0.5), below(0.6)), champion).passed);
    CHECK_FALSE(gate_promotion(with_errors(0.5, 0.1), champion).passed);
    CHECK_FALSE(gate_promotion(with_errors(above(0.5), 0.1), champion).passed);
    CHECK_FALSE(gate_promotion(with_errors(0.1, 0.6), champion).passed);
    CHECK_FALSE(gate_promotion(with_errors(0.1, above(0.6)), champion).passed);
    CHECK(gate_promotion(with_errors(0.55, 0.1), champion).reason ==
          "no champion: train 0.550000 is not below the champion's 0.500000");
    CHECK(gate_promotion(with_errors(0.45, 0.7), champion).reason ==
          "no champion: valid 0.700000 does not improve on the champion's 0.600000, overfits train");
    CHECK(gate_promotion(with_errors(0.45, 0.55), champion).reason ==
          "beats the champion: train 0.450000 below 0.500000, valid 0.550000 below 0.600000");
    CHECK_FALSE(gate_promotion(with_errors(std::nan(""), 0.1), champion).passed);
    CHECK_FALSE(gate_promotion(with_errors(0.1, std::nan("")), champion).passed);
}
