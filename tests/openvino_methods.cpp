// OpenVINO GenAI's eviction at the end of a prompt: against what the original kept of a real model, and by hand.
// SPDX-License-Identifier: MIT
#include <fmt/format.h>

#include <algorithm>

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

std::string scorer_of(const Json& given) {
    const auto number = [&](const char* key) { return given.at(key).get<std::size_t>(); };
    const std::string mode = given.at("mode");
    std::string scorer = mode == "ADAPTIVE_RKV" ? "adaptive_rkv" : mode == "SUM" ? "sum" : "norm_sum";
    std::string more;
    if (number("kvcrush_budget") > 0) {
        more = fmt::format(",budget={},anchor={},sum={}", number("kvcrush_budget"),
                           static_cast<int>(openvino_anchor_named(given.at("kvcrush_anchor").get<std::string>())),
                           mode == "SUM" ? 1 : 0);
        scorer = "kvcrush";
    }
    more += mode == "ADAPTIVE_RKV" ? fmt::format(",attention_mass={}", given.at("attention_mass").get<double>())
                                   : fmt::format(",pool={}", number("pool"));
    return fmt::format("{}@openvino:start={},recent={},max={},block={},snapkv={}{}", scorer, number("start"),
                       number("recent"), number("max_cache_size"), number("block"), number("snapkv_window"), more);
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

} // namespace

TEST_CASE("OpenVINO GenAI: what each setting keeps at the end of a prompt, by plain columns and the product's") {
    const std::vector<ColumnSource> sources{known_reference_column, product_column};
    std::size_t checked = 0;
    for (const auto& [name, run] : openvino_fixture().at("runs").items())
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

TEST_CASE("OpenVINO GenAI: the retention sets the maximum, in whole blocks; a last one that is not full is beyond it") {
    const MethodsLayer& layer = methods_layer(14); // 297 tokens: nine beyond 18 blocks of 16
    const std::string areas = ":start=16,recent=64,block=16";
    const auto count = [&](const std::string& scorer, std::size_t kept) {
        return select(scorer, layer, removed_fraction_for_kept(297, kept), known_reference_column).kept[0].size();
    };
    const auto& fixed = openvino_fixture().at("runs").at("openvino").at("one_shot").at("14");
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
