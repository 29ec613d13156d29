// OpenVINO GenAI's eviction against what the original kept of a real model, at the end of a prompt and while decoding,
// against the figures of its own tests, and by hand.
// SPDX-License-Identifier: MIT
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <numeric>

#include "framework/cut/budget.hpp"
#include "framework/protocols/protocol.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/methods_presses.hpp"
#include "tests/support/openvino_decoding.hpp"

using namespace evictlab;
using namespace evictlab::test;

namespace {

using Json = nlohmann::json;
using Positions = std::vector<std::size_t>;
using Numbers = std::vector<double>;

const Json& fixture() {
    static const Json all = Json::parse(std::ifstream(EVICTLAB_TEST_DATA "/methods-2/openvino.json"));
    return all;
}

OpenVinoAnchor anchor_of(const Json& given) {
    const std::string name = given.at("kvcrush_anchor");
    constexpr std::array names{"ZEROS", "ONES", "ALTERNATING", "MEAN"};
    return static_cast<OpenVinoAnchor>(std::ranges::find(names, name) - names.begin());
}

std::string scorer_of(const Json& given) {
    const auto number = [&](const char* key) { return given.at(key).get<std::size_t>(); };
    const std::string mode = given.at("mode");
    std::string scorer = mode == "ADAPTIVE_RKV" ? "adaptive_rkv" : mode == "SUM" ? "sum" : "norm_sum";
    std::string more;
    if (number("kvcrush_budget") > 0) {
        more = fmt::format(",budget={},anchor={},sum={}", number("kvcrush_budget"), static_cast<int>(anchor_of(given)),
                           mode == "SUM" ? 1 : 0);
        scorer = "kvcrush";
    }
    more += mode == "ADAPTIVE_RKV" ? fmt::format(",attention_mass={}", given.at("attention_mass").get<double>())
                                   : fmt::format(",pool={}", number("pool"));
    return fmt::format("{}@openvino:start={},recent={},max={},block={},snapkv={}{}", scorer, number("start"),
                       number("recent"), number("max_cache_size"), number("block"), number("snapkv_window"), more);
}

OpenVinoDecoding::Options options_of(const Json& given) {
    const std::string mode = given.at("mode");
    OpenVinoDecoding::Options options;
    options.mode = mode == "SUM" ? OpenVinoDecoding::Mode::sum : OpenVinoDecoding::Mode::norm_sum;
    options.areas = {given.at("start"), given.at("recent"), given.at("max_cache_size"), given.at("block")};
    options.snapkv = given.at("snapkv_window");
    options.pool = given.at("pool");
    options.crush_budget = given.at("kvcrush_budget");
    options.anchor = anchor_of(given);
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

/// A layer of two heads whose tokens get the same attention from each of the latest queries, as a test says.
struct MadeLayer {
    explicit MadeLayer(Numbers attention) : received(std::move(attention)) {
        layer.query_heads = layer.kv_heads = 2;
        layer.tokens = received.size();
        layer.dim = 2;
        layer.q = layer.k = layer.v = std::vector<float>(2 * layer.tokens * layer.dim, 1);
    }
    /// Numbers of the blocks that go, where tokens go by blocks at all, and the last one is whole or stays.
    Positions gone(const std::string& scorer, std::size_t kept, std::size_t block) const {
        const double removed = removed_fraction_for_kept(layer.tokens, kept);
        const auto selected = select(scorer, layer, removed, [&](const MethodsLayer&, const std::string& column) {
            CHECK(column.starts_with("layer_attn:"));
            Numbers both = received;
            both.insert(both.end(), received.begin(), received.end());
            return both;
        });
        CHECK(selected.kept[0] == selected.kept[1]);
        Positions blocks;
        for (std::size_t b = 0; b * block < layer.tokens; ++b) {
            const std::size_t end = std::min(layer.tokens, (b + 1) * block);
            std::size_t stay = 0;
            for (std::size_t i = b * block; i < end; ++i) stay += std::ranges::count(selected.kept[0], i) > 0 ? 1 : 0;
            CHECK((stay == 0 || stay == end - b * block));
            if (stay == 0) blocks.push_back(b);
        }
        return blocks;
    }
    MethodsLayer layer;
    Numbers received;
};

Numbers of_blocks(const Numbers& values, std::size_t block) {
    Numbers tokens;
    for (const double value : values) tokens.insert(tokens.end(), block, value);
    return tokens;
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

TEST_CASE("OpenVINO GenAI: what each setting keeps at the end of a prompt, by plain columns and the product's") {
    const std::vector<ColumnSource> sources{known_reference_column, product_column};
    std::size_t checked = 0;
    for (const auto& [name, run] : fixture().at("runs").items())
        for (const auto& [layer, expected] : run.at("one_shot").items())
            for (const ColumnSource& source : sources) {
                const std::string scorer = scorer_of(run.at("params"));
                INFO(name << " as " << scorer << ", layer " << layer);
                const auto selected = select(scorer, methods_layer(std::stoul(layer)), 0.5, source);
                for (const Positions& head : selected.kept) CHECK(head == expected.get<Positions>());
                ++checked;
            }
    CHECK(checked == 60); // ten settings, three layers
}

TEST_CASE("OpenVINO GenAI: what tokens received, and how many queries could count") {
    const Json& run = fixture().at("runs").at("openvino");
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
    for (const auto& [name, run] : fixture().at("runs").items()) {
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
                at != run["decode_layer14"].end()) {
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
    const Json& tests = fixture().at("unit_tests");
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
    const Json& tests = fixture().at("unit_tests");
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

TEST_CASE(
    "OpenVINO GenAI: the retention sets the maximum, in whole blocks, and a last one that is not full is beyond it") {
    const MethodsLayer& layer = methods_layer(14); // 297 tokens: nine beyond 18 blocks of 16
    const std::string areas = ":start=16,recent=64,block=16";
    const auto count = [&](const std::string& scorer, std::size_t kept) {
        return select(scorer, layer, removed_fraction_for_kept(297, kept), known_reference_column).kept[0].size();
    };
    const auto& fixed = fixture().at("runs").at("openvino").at("one_shot").at("14");
    for (const std::size_t kept : {160, 175})
        CHECK(select("norm_sum@openvino" + areas, layer, removed_fraction_for_kept(297, kept), known_reference_column)
                  .kept[2] == fixed.get<Positions>());
    CHECK(count("norm_sum@openvino" + areas, 159) == 144 + 9);
    CHECK(count("norm_sum@openvino" + areas, 297 - 8) == 297);
    CHECK(count("kvcrush@openvino" + areas, 160) == 160 + 9 + 32);
    CHECK(count("norm_sum@openvino" + areas + ",max=128", 297 - 8) == 128 + 9);
    // The least that OpenVINO takes for a maximum is a block more than what always stays.
    for (const std::size_t kept : {1, 50, 100}) CHECK(count("sum@openvino" + areas, kept) == 96 + 9);
    for (const std::size_t kept : {25, 40, 57, 106, 160, 169, 175, 200})
        for (const char* id : {"norm_sum", "sum", "kvcrush", "adaptive_rkv"})
            CHECK(count(id + ("@sane" + areas), kept) == (kept - 9) / 16 * 16 + 9);
}

TEST_CASE("OpenVINO GenAI by hand: what stays at the ends, exactly one block, and equal blocks") {
    // Of blocks of two: one at the start, two recent, 2 of the 4 between; the last token has a block of its own.
    const std::string cache = "@openvino:start=2,recent=4,max=10,block=2,snapkv=1";
    const MadeLayer eleven(Numbers(11, 0.1));
    for (const char* scorer : {"sum", "norm_sum", "kvcrush", "adaptive_rkv"})
        CHECK(eleven.gone(scorer + cache, 5, 2).empty()); // not a whole block over the maximum
    const MadeLayer one({0, 0, 0.3, 0.1, 0.1, 0.2, 0.2, 0.2, 0, 0, 0, 0});
    CHECK(one.gone("sum" + cache + ",pool=1", 5, 2) == Positions{2});
    CHECK(one.gone("norm_sum" + cache + ",pool=1", 5, 2) == Positions{2});
    CHECK(one.gone("kvcrush" + cache + ",pool=1", 5, 2) == Positions{2}); // fewer go than it would give back
    CHECK(one.gone("kvcrush" + cache + ",pool=1,budget=1", 5, 2).empty());
    const MadeLayer equal({9, 9, 0.2, 0.2, 0.2, 0.2, 0.3, 0.1, 0.2, 0.2, 0, 0, 0, 0, 0});
    CHECK(equal.gone("sum" + cache + ",pool=1", 5, 2) == Positions{1, 2});
    CHECK(equal.gone("norm_sum" + cache + ",pool=1", 5, 2) == Positions{1, 2});
    // By all queries the older tokens could have more, so the new ones are worth more.
    CHECK(equal.gone("norm_sum@openvino:start=2,recent=4,max=8,block=2,snapkv=0,pool=1", 5, 2) == Positions{1, 2, 3});
    const MadeLayer falling({9, 9, 0.26, 0.26, 0.25, 0.25, 0.24, 0.24, 0.2, 0.2, 0, 0, 0, 0});
    CHECK(falling.gone("sum" + cache + ",pool=1", 5, 2) == Positions{3, 4});
    CHECK(falling.gone("norm_sum" + cache + ",pool=1", 5, 2) == Positions{3, 4});
    CHECK(falling.gone("norm_sum@openvino:start=2,recent=4,max=10,block=2,snapkv=0,pool=1", 5, 2) == Positions{1, 2});
}

TEST_CASE("KVCrush by hand: bits of the better half, and blocks evenly along their distance from the anchor") {
    // Candidates 1 .. 6, of which all but 6 go. Bits: 11 10 00 01 00 11.
    const MadeLayer made({9, 9, 0.5, 0.4, 0.6, 0.1, 0.1, 0.1, 0.1, 0.7, 0.1, 0.1, 1, 1, 0, 0});
    const std::string cache = "kvcrush@openvino:start=2,recent=2,max=6,block=2,snapkv=1,pool=1";
    CHECK(made.gone("sum@openvino:start=2,recent=2,max=6,block=2,snapkv=1,pool=1", 5, 2) == Positions{1, 2, 3, 4, 5});
    // Zeros: distances 2 1 0 1 0, so in order 3 5 2 4 1; ones: 1 2 4 3 5; alternating 01: 4 1 3 5 2.
    CHECK(made.gone(cache + ",budget=2,anchor=0", 5, 2) == Positions{1, 4, 5});
    CHECK(made.gone(cache + ",budget=2,anchor=1", 5, 2) == Positions{2, 3, 5});
    CHECK(made.gone(cache + ",budget=2,anchor=2", 5, 2) == Positions{1, 2, 5});
    // Both bits are 1 in three of six blocks, no more: the mean is 00.
    CHECK(made.gone(cache + ",budget=2,anchor=3", 5, 2) == Positions{1, 4, 5});
    CHECK(made.gone(cache + ",budget=5", 5, 2).empty());
    CHECK(made.gone(cache + ",budget=6", 5, 2) == Positions{1, 2, 3, 4, 5});
    CHECK(made.gone(cache + ",budget=0", 5, 2) == Positions{1, 2, 3, 4, 5});
}

TEST_CASE("Adaptive R-KV by hand: attention up to its share, then the keys that resemble each other least") {
    MadeLayer made(of_blocks({9, 5, 1, 1, 1, 0, 0}, 2));
    const std::string cache = "adaptive_rkv@openvino:start=2,recent=2,max=8,block=2,snapkv=1";
    // Keys of blocks 2 and 3 point the same way, those of 4 and 5 have directions of their own.
    const auto point = [&](std::size_t token, float x, float y) {
        for (std::size_t h = 0; h < 2; ++h) {
            made.layer.k[(h * made.layer.tokens + token) * 2] = x;
            made.layer.k[(h * made.layer.tokens + token) * 2 + 1] = y;
        }
    };
    for (const std::size_t token : {4, 5, 6, 7}) point(token, 2, 0);
    point(8, 0, 1), point(9, 0, -1), point(10, -3, 0), point(11, 0.1F, 0.1F);
    // Half of the attention is block 1's; of the others the one whose keys are least like all of theirs.
    CHECK(made.gone(cache + ",attention_mass=0.5", 5, 2) == Positions{2, 3, 5});
    CHECK(made.gone(cache + ",attention_mass=1", 5, 2) == Positions{3, 4, 5}); // the share is never reached
    CHECK(made.gone(cache + ",attention_mass=0", 5, 2) == Positions{1, 2, 3});
    made.received = of_blocks({9, 0, 0, 0, 0, 0, 0}, 2); // nothing to share: keys alone
    CHECK(made.gone(cache, 5, 2) == Positions{1, 2, 3});
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

TEST_CASE("OpenVINO GenAI: settings that it refuses are refused, and decoding is, as its sets are of no fixed size") {
    PluginHost host;
    for (const char* id : {"norm_sum", "sum", "kvcrush", "adaptive_rkv"}) {
        const auto refused = [&](const std::string& parameters, const std::string& why) {
            const std::string scorer = fmt::format("{}@openvino:{}", id, parameters);
            INFO(scorer);
            CHECK_THROWS_WITH(select(scorer, methods_layer(14), 0.5, known_reference_column), ContainsSubstring(why));
        };
        for (const char* parameters : {"start=33", "recent=100", "max=700", "block=48"})
            refused(parameters, "must be multiples of block");
        for (const char* parameters : {"max=160", "max=32", "start=32,recent=32,max=64"})
            refused(parameters, "max must be more than start + recent");
        refused("start=0", "start");
        refused("recent=0", "recent");
        const Scorer scorer = make_scorer(fmt::format("{}@openvino", id), host);
        CHECK(protocol_info("decode").refuses(scorer).find("it runs under prefill") != std::string::npos);
        CHECK(protocol_info("prefill").refuses(scorer) == "");
    }
}
