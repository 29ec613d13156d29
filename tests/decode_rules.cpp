// How published methods cut a cache while decoding: H2O's mask simulation against the authors' program, the others by
// hand.
// SPDX-License-Identifier: MIT
#include "tests/support/published_rules.hpp"

#include <algorithm>
#include <cmath>

#include "framework/cut/budget.hpp"
#include "framework/cut/top_k.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/methods_fixture.hpp"

using namespace evictlab;
using namespace evictlab::test;

namespace {

// Attention of queries first .. last - 1 of one head, each over the keys before it that the mask shows, summed.
std::vector<double> received(const MethodsLayer& layer, std::size_t head, std::size_t first, std::size_t last,
                             const H2oMaskSimulation& rule) {
    std::vector<double> sums(last);
    for (std::size_t i = first; i < last; ++i) {
        std::vector<double> row(last);
        double all = 0;
        for (std::size_t j = 0; j <= i; ++j) {
            double product = 0;
            for (std::size_t m = 0; m < layer.dim; ++m)
                product += double{layer.q_at(head, i)[m]} * double{layer.k_at(head, j)[m]};
            if (rule.visible(j)) all += row[j] = std::exp(product / std::sqrt(static_cast<double>(layer.dim)));
        }
        for (std::size_t j = 0; j <= i; ++j) sums[j] += row[j] / all;
    }
    return sums;
}

using Json = nlohmann::json;

void check_state(const H2oMaskSimulation& rule, const Json& expected, std::size_t head, std::size_t keys) {
    std::vector<std::size_t> mask, positive;
    double sum = 0;
    for (std::size_t j = 0; j <= keys; ++j)
        if (rule.visible(j)) mask.push_back(j);
    for (std::size_t j = 0; j < keys; ++j) {
        if (rule.accumulated()[j] != 0) positive.push_back(j);
        sum += rule.accumulated()[j];
    }
    CHECK(mask == expected.at("mask").at(head).get<std::vector<std::size_t>>());
    CHECK(positive == expected.at("acc_nonzero").at(head).get<std::vector<std::size_t>>());
    CHECK(sum == Approx(expected.at("acc_sum").at(head).get<double>()).epsilon(1e-4));
}

} // namespace

TEST_CASE("H2O's mask simulation hides and forgets what the authors' program does") {
    const Json& simulation = methods_kept().at("paper").at("h2o_mask_simulation");
    const MethodsLayer& layer = methods_layer_by_query_head(simulation.at("layer"));
    const std::size_t prompt = simulation.at("prompt");
    const auto budget = H2oBudget::of_ratios(prompt, simulation.at("heavy_ratio"), simulation.at("recent_ratio"));
    std::size_t checked = 0;
    for (std::size_t head = 0; head < layer.query_heads; ++head) {
        H2oMaskSimulation rule(budget);
        for (std::size_t seen = 0, keys = prompt; keys <= layer.tokens; seen = keys++) {
            rule.step(received(layer, head, seen, keys, rule));
            const auto step = std::to_string(keys);
            INFO("head " << head << ", keys " << keys);
            if (!simulation.at("steps").contains(step)) continue;
            check_state(rule, simulation.at("steps").at(step), head, keys);
            ++checked;
        }
    }
    CHECK(checked == layer.query_heads * simulation.at("steps").size());
}

TEST_CASE("H2O's mask simulation: with no recent part nothing is forgotten, and a short text is not cut") {
    H2oMaskSimulation rule({1, 0});
    rule.step(std::vector<double>{0.25, 0.75});
    CHECK_FALSE(rule.visible(0));
    CHECK(rule.visible(1));
    CHECK(rule.accumulated()[0] == 0.25);
    H2oMaskSimulation roomy({2, 2});
    roomy.step(std::vector<double>{1, 1, 1, 1});
    CHECK(std::ranges::all_of(std::vector{0, 1, 2, 3, 4},
                              [&](int j) { return roomy.visible(static_cast<std::size_t>(j)); }));
    CHECK(H2oBudget::of_ratios(297, 0.1, 0.1).heavy == 29);
}

TEST_CASE("H2O as a cache carries what kept tokens received") {
    H2oRealDrop rule({1, 2});
    CHECK(rule.step(std::vector<double>{0.5, 2, 1}) == Slots{0, 1, 2});
    CHECK(rule.step(std::vector<double>{0, 0, 0, 1}) == Slots{1, 2, 3});   // 0.5 2 | 1 1
    CHECK(rule.step(std::vector<double>{0, 1.5, 0, 0}) == Slots{1, 2, 3}); // 2 2.5 | 1 0
    CHECK(rule.step(std::vector<double>{0, 2, 0, 0}) == Slots{1, 2, 3});   // 2.5 3 | 0 0
}

TEST_CASE("TOVA cuts to its capacity at every step, the newest token included") {
    CHECK(tova_cut(std::vector<double>{0.4, 0.3, 0.2, 0.1}, 3) == Slots{0, 1, 2});
    CHECK(tova_cut(std::vector<double>{0.1, 0.3, 0.3, 0.3}, 2) == Slots{1, 2});
    CHECK(tova_cut(std::vector<double>{0.5, 0.5}, 3) == Slots{0, 1});
}

TEST_CASE("StreamingLLM makes room for what comes, or cuts after each token") {
    const StreamingLlmCache cache{2, 4};
    CHECK(cache.make_room(4, 2) == Slots{0, 1, 2, 3});
    CHECK(cache.make_room(6, 2) == Slots{0, 1, 4, 5});
    CHECK(cache.make_room(6, 4) == Slots{0, 1});
    CHECK(cache.cut(7) == Slots{0, 1, 3, 4, 5, 6});
    CHECK(cache.cut(6) == Slots{0, 1, 2, 3, 4, 5});
}

TEST_CASE("kvpress's DecodingPress compresses every interval, and at once after a long forward") {
    DecodingPressSchedule schedule({.interval = 3, .target = 10, .buffer = 2});
    CHECK_FALSE(schedule.forward(1, 12).compress);
    CHECK(schedule.forward(1, 13).forwards_in_buffer == 2);
    const auto third = schedule.forward(1, 14);
    CHECK(third.compress);
    CHECK(third.kept == 10);
    CHECK(kept_count_for_removed(14, third.removed_fraction) == 10);
    CHECK(third.forwards_in_buffer == 3); // one more than stays
    CHECK(schedule.forward(1, 11).forwards_in_buffer == 1);
    CHECK(schedule.forward(12, 23).compress); // as many tokens as the target
    for (int i = 0; i < 2; ++i) schedule.forward(1, 9);
    CHECK_FALSE(schedule.forward(1, 10).compress); // due, but there is nothing to do
    CHECK(schedule.forward(1, 11).forwards_in_buffer == 1);
    DecodingPressSchedule without({.interval = 8, .target = 4, .buffer = 0});
    without.forward(1, 5);
    CHECK(without.forward(1, 6).forwards_in_buffer == 1);
    CHECK(decoding_target(300, 0.9) == 29);
    CHECK(decoding_target(3, 0.9) == 1);
}
