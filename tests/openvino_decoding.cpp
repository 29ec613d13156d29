// OpenVINO GenAI's eviction while decoding: against what the original kept of a real model at each step, the figures of
// its own tests, and by hand.
// SPDX-License-Identifier: MIT
#include <algorithm>
#include <cmath>
#include <numeric>

#include "tests/support/catch.hpp"
#include "tests/support/methods_presses.hpp"
#include "tests/support/openvino_decoding.hpp"

using namespace evictlab;
using namespace evictlab::test;

namespace {

using Json = nlohmann::json;
using Positions = std::vector<std::size_t>;
using Numbers = std::vector<double>;

OpenVinoDecoding::Options options_of(const Json& given) {
    const std::string mode = given.at("mode");
    OpenVinoDecoding::Options options;
    options.mode = mode == "SUM" ? OpenVinoDecoding::Mode::sum : OpenVinoDecoding::Mode::norm_sum;
    options.areas = {given.at("start"), given.at("recent"), given.at("max_cache_size"), given.at("block")};
    options.snapkv = given.at("snapkv_window");
    options.pool = given.at("pool");
    options.crush_budget = given.at("kvcrush_budget");
    options.anchor = openvino_anchor_named(given.at("kvcrush_anchor").get<std::string>());
    return options;
}

/// Attention of queries first .. last - 1 over these tokens, summed over them and all query heads.
Numbers received(const MethodsLayer& layer, std::size_t first, std::size_t last, const Positions& cached) {
    Numbers sums(cached.size()), row(cached.size());
    for (std::size_t head = 0; head < layer.query_heads; ++head)
        for (std::size_t i = first; i < last; ++i) {
            double all = 0;
            for (std::size_t slot = 0; slot < cached.size(); ++slot) {
                const float *q = layer.q_at(head, i), *k = layer.k_at(head / layer.group(), cached[slot]);
                double product = 0;
                for (std::size_t m = 0; m < layer.dim; ++m) product += double{q[m]} * double{k[m]};
                row[slot] = cached[slot] > i ? 0 : std::exp(product / std::sqrt(static_cast<double>(layer.dim)));
                all += row[slot];
            }
            for (std::size_t slot = 0; slot < cached.size(); ++slot) sums[slot] += row[slot] / all;
        }
    return sums;
}

void drop_blocks(Positions& cached, const OpenVinoBlockList& gone, std::size_t block) {
    for (std::size_t i = gone.size(); i-- > 0;) {
        const auto begin = cached.begin() + static_cast<std::ptrdiff_t>(gone[i] * block);
        cached.erase(begin, begin + static_cast<std::ptrdiff_t>(block));
    }
}

/// What the original's own tests have at one step: `tokens` of one attention each but those of some blocks.
OpenVinoBlockList evicted(OpenVinoDecoding::Options options, const Numbers& step,
                          const OpenVinoDecoding::Diversity& diversity = {}) {
    options.snapkv = 0;
    options.pool = 1;
    OpenVinoDecoding cache(options);
    cache.add(step, step.size());
    return cache.evict(diversity);
}

} // namespace

TEST_CASE("OpenVINO GenAI: what tokens received, and how many queries could count") {
    const Json& run = openvino_fixture().at("runs").at("openvino");
    std::size_t checked = 0;
    for (const auto& [name, expected] : run.at("scores").items()) {
        INFO("layer " << name);
        const MethodsLayer& layer = methods_layer(std::stoul(name));
        const auto column = product_column(layer, "layer_attn:8:ahead=7");
        OpenVinoDecoding cache(options_of(run.at("params")));
        Positions all(layer.tokens);
        std::iota(all.begin(), all.end(), std::size_t{0});
        cache.add(received(layer, layer.tokens - 8, layer.tokens, all), 8);
        const auto sums = expected.at("score").get<std::vector<float>>();
        REQUIRE(sums.size() == layer.tokens - 16);
        CHECK(worst_difference(cache.sums(), sums) < 1e-5);
        for (std::size_t i = 0; i < sums.size(); ++i, ++checked)
            CHECK(column[16 + i] * 8 * 9 == Approx(double{sums[i]}).epsilon(1e-5));
        const auto counters = expected.at("counter").get<Positions>();
        CHECK(std::ranges::equal(cache.counters(), counters));
    }
    CHECK(checked == 3 * 281);
}

TEST_CASE("OpenVINO GenAI: a prompt of 200 tokens, and one more at a time, each attending to what is left") {
    std::size_t checked = 0;
    for (const auto& [name, run] : openvino_fixture().at("runs").items()) {
        if (!run.contains("decode_layer14")) continue;
        const MethodsLayer& layer = methods_layer(14);
        const auto options = options_of(run.at("params"));
        OpenVinoDecoding cache(options);
        Positions cached(200);
        std::iota(cached.begin(), cached.end(), std::size_t{0});
        const std::size_t window = options.snapkv == 0 ? 200 : options.snapkv;
        Numbers step = received(layer, 200 - window, 200, cached);
        for (std::size_t seen = 200; seen <= layer.tokens; ++seen) {
            cache.add(step, seen == 200 ? window : 1);
            drop_blocks(cached, cache.evict(), options.areas.block);
            INFO(name << " after " << seen);
            if (const auto at = run.at("decode_layer14").find(std::to_string(seen));
                at != run.at("decode_layer14").end()) {
                CHECK(cached == at->get<Positions>());
                ++checked;
            }
            if (seen == layer.tokens) break;
            cached.push_back(seen);
            step = received(layer, seen, seen + 1, cached);
        }
    }
    CHECK(checked == 48); // eight settings, six moments
}

TEST_CASE("OpenVINO GenAI's own tests: what is noted at each step") {
    const Json& tests = openvino_fixture().at("unit_tests");
    for (const Json& test : tests.at("register")) {
        INFO(test.at("name"));
        OpenVinoDecoding::Options options;
        if (test.at("mode") == "SUM") options.mode = OpenVinoDecoding::Mode::sum;
        const std::size_t block = test.at("block"), ignored = test.at("ignore");
        options.areas = {ignored * block, 128, 672, block};
        options.snapkv = test.at("snap");
        options.pool = test.at("pool");
        OpenVinoDecoding cache(options);
        for (const Json& step : test.at("steps")) cache.add(step[0].get<Numbers>(), step[1]);
        const auto sums = test.at("scores").get<Numbers>();
        REQUIRE(cache.sums().size() == sums.size());
        for (std::size_t i = 0; i < sums.size(); ++i) CHECK(cache.sums()[i] == Approx(sums[i]));
        if (!test.at("counters").empty())
            CHECK(std::ranges::equal(cache.counters(), test.at("counters").get<Positions>()));
    }
    for (const Json& test : tests.at("snapkv_counters")) {
        OpenVinoDecoding::Options options;
        options.areas.start = 0;
        options.snapkv = test.at("window");
        OpenVinoDecoding cache(options);
        for (const Json& step : test.at("steps")) cache.add(Numbers(step[0].get<std::size_t>(), 1), step[1]);
        CHECK(std::ranges::equal(cache.counters(), test.at("counters").get<Positions>()));
    }
}

TEST_CASE("OpenVINO GenAI's own tests: which blocks go") {
    const Json& tests = openvino_fixture().at("unit_tests");
    OpenVinoDecoding::Options options;
    for (const Json& test : tests.at("lowest_blocks")) {
        INFO(test);
        const auto config = test.at("config").get<Positions>();
        options.areas = {config[0], config[1], config[2], 4};
        Numbers step(test.at("tokens").get<std::size_t>(), 1);
        for (const std::size_t block : test.at("zero_blocks").get<Positions>())
            for (std::size_t i = block * 4; i < std::min(step.size(), block * 4 + 4); ++i) step[i] = 0;
        for (const auto mode : {OpenVinoDecoding::Mode::sum, OpenVinoDecoding::Mode::norm_sum}) {
            options.mode = mode;
            CHECK(evicted(options, step) == test.at("evicted").get<Positions>());
        }
    }
    for (const Json& test : tests.at("lifetime")) {
        INFO(test);
        options.mode = test.at("mode") == "SUM" ? OpenVinoDecoding::Mode::sum : OpenVinoDecoding::Mode::norm_sum;
        options.areas = {32, 32, 192, 4};
        Numbers step(192 + 3 + 3 * 4);
        for (std::size_t i = 0; i < step.size(); ++i)
            step[test.at("rising") ? i : step.size() - 1 - i] =
                std::pow(static_cast<double>(i), test.at("power").get<double>());
        CHECK(evicted(options, step) == test.at("evicted").get<Positions>());
    }
    for (const Json& test : tests.at("adaptive_rkv")) {
        options.mode = OpenVinoDecoding::Mode::adaptive_rkv;
        options.areas = {2, 2, 10, 2};
        options.attention_mass = test.at("mass");
        Numbers step(test.at("tokens").get<std::size_t>(), 1);
        std::ranges::copy(test.at("scores").get<Numbers>(), step.begin() + 2);
        const auto diversity = test.at("diversity").get<Numbers>();
        CHECK(evicted(options, step, [&](std::span<const std::size_t> others) {
                  Numbers of_them;
                  for (const std::size_t b : others) of_them.push_back(diversity[b]);
                  return of_them;
              }) == test.at("evicted").get<Positions>());
    }
    for (const Json& test : tests.at("evictable_range")) {
        INFO(test);
        const auto candidates = OpenVinoAreas{32, 32, 192, 4}.candidates(test.at("tokens"));
        if (test.at("range").is_null()) {
            CHECK(candidates.count == 0);
            continue;
        }
        CHECK(candidates.first == test.at("range")[0]);
        CHECK(candidates.first + candidates.count == test.at("range")[1]);
    }
}

TEST_CASE("Adaptive R-KV while decoding: the mean of the last steps, pooled from the second on") {
    OpenVinoDecoding::Options options;
    options.mode = OpenVinoDecoding::Mode::adaptive_rkv;
    options.areas = {1, 1, 3, 1};
    options.snapkv = 0;
    options.pool = 2;
    options.rkv_window = 2;
    OpenVinoDecoding cache(options);
    cache.add(Numbers{9, 1, 4}, 3);
    CHECK(std::ranges::equal(cache.sums(), Numbers{1, 4}));
    cache.add(Numbers{9, 3, 0, 8}, 1);
    CHECK(std::ranges::equal(cache.sums(), Numbers{2, 4, 4})); // 2 2 4
    cache.add(Numbers{9, 1, 2, 0, 2}, 1);
    CHECK(std::ranges::equal(cache.sums(), Numbers{2, 4, 4, 1})); // 2 1 4 1, the first step forgotten
}
