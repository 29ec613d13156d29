// Models with sliding-window layers: the caches of the others are evicted from, theirs stay as they are.
// SPDX-License-Identifier: MIT
#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "engine/stream.hpp"
#include "tests/engine/tiny_sequence.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/process.hpp"

using namespace evictlab;
using namespace evictlab::engine;
using namespace evictlab::test;

namespace {

constexpr TinyShape shape{4, 4, 2, 32, 3, 16}; // layers 0 and 2 slide over 16 tokens
constexpr std::size_t prompt = 60;
constexpr double rounding = 0.03; // keys and values are F16 in the cache

/// Of all layers, from those of the full ones.
KeptPositions of_all(const KeptCells& kept) {
    const std::vector<std::vector<std::uint32_t>> whole(shape.kv_heads);
    return {whole, kept[0], whole, kept[1]};
}

double furthest(const std::vector<std::vector<float>>& a, const std::vector<std::vector<double>>& b) {
    double most = 0;
    for (std::size_t i = 0; i < a.size(); ++i)
        for (std::size_t t = 0; t < a[i].size(); ++t)
            most = std::max(most, std::fabs(static_cast<double>(a[i][t]) - b[b.size() - a.size() + i][t]));
    return most;
}

struct Text {
    std::vector<llama_token> all = TinyLlama::tokens(text_of(prompt + 20));
    std::span<const llama_token> front = std::span(all).first(prompt), rest = std::span(all).subspan(prompt);
};

} // namespace

TEST_CASE("Which layers slide is found out from llama.cpp, which computes what the model is") {
    const OpenTiny open(shape);
    CHECK(open.model->layout().full == std::vector<std::size_t>{1, 3});
    CHECK(open.model->layout().sliding == std::vector<std::size_t>{0, 2});
    CHECK(open.model->layout().window == 16);
    const Text text;
    Sequence sequence = open.sequence();
    sequence.feed(text.front);
    const auto found = sequence.feed_for_all(text.rest);
    CHECK(furthest(found, open.tiny.run(text.all).logits) < rounding);
    const CacheState state = sequence.state();
    CHECK(state.cells() == 80);
    CHECK(state.sliding_cells() == 16);
    CHECK_NOTHROW(prove_round_trip(*open.model, text.all, {0, 1, GGML_TYPE_F16}));
    CHECK_NOTHROW(prove_round_trip(*open.model, text.all, {0, 1, GGML_TYPE_F32}));
    const OpenTiny plain;
    CHECK(plain.model->layout().full.size() == 3);
    CHECK(plain.model->layout().sliding.empty());
}

TEST_CASE("Both caches, written back whole, give exactly the same predictions") {
    const OpenTiny open(shape);
    const Text text;
    Sequence full = open.sequence(), back = open.sequence();
    full.feed(text.front);
    const Snapshot snapshot = full.snapshot();
    const auto expected = full.feed_for_all(text.rest);
    back.become(snapshot.cached(), all_cells(snapshot.state, 2), Granularity::head);
    CHECK(back.feed_for_all(text.rest) == expected);
    full.become(snapshot);
    CHECK(full.feed_for_all(text.rest) == expected);
}

TEST_CASE("Heads of full layers keep their own tokens, and sliding layers see their window") {
    const OpenTiny open(shape);
    const Text text;
    for (const std::size_t count : {std::size_t{1}, std::size_t{13}, std::size_t{59}}) {
        const KeptCells kept = drawn_cells({2, 4, 2, 32, 3}, prompt, count, 7);
        Sequence full = open.sequence(), small = open.sequence(32);
        full.feed(text.front);
        small.become(full.snapshot().cached(), kept, Granularity::head);
        CHECK(small.cells() == count);
        const auto found = small.feed_for_all(text.rest);
        INFO(count << " kept");
        CHECK(furthest(found, open.tiny.run(text.all, prompt, of_all(kept)).logits) < rounding);
        if (count == 13) CHECK(furthest(found, open.tiny.run(text.all).logits) > 3 * rounding);
    }
}

TEST_CASE("Scorers are shown the full layers by the model's numbers, with queries as RoPE turned them") {
    const OpenTiny open(shape);
    const Text text;
    const TinyLlama::Run run = open.tiny.run({text.all.begin(), text.all.begin() + prompt});
    Sequence sequence = open.sequence();
    sequence.record_queries(0);
    sequence.feed(text.front);
    const CacheState state = sequence.state();
    REQUIRE(sequence.tap().rows() == prompt);
    for (std::size_t at = 0; at < 2; ++at) {
        const std::size_t number = open.model->layout().full[at];
        const auto& queries = sequence.tap().queries(number);
        CHECK(sequence.tap().attention(number).softmax_scale == Approx(1 / std::sqrt(32.0)));
        const std::vector<float> keys = state.keys(at);
        for (std::size_t i = 0; i < prompt; i += 7)
            for (std::size_t x = 0; x < 32; ++x) {
                REQUIRE(queries[(i * 4 + 3) * 32 + x] ==
                        Approx(run.layers[number].q[(3 * prompt + i) * 32 + x]).margin(0.02));
                REQUIRE(keys[(prompt + i) * 32 + x] ==
                        Approx(run.layers[number].k[(prompt + i) * 32 + x]).margin(0.02));
            }
    }
}

TEST_CASE("A long text goes through few cells, and context shift is refused by name") {
    const TemporaryFolder folder;
    TinyLlama(shape).write(folder / "tiny.gguf");
    put(folder / "text", text_of(400));
    const auto run = [&](const std::string& options) {
        return shell("'" EVICTLAB_LLAMA_BINARY "' tiny.gguf --prompt text --threads 1 --continuation 20 " + options,
                     folder.path.string());
    };
    const Outcome through = run("--cache 64 --every 16 --scorer observed_attention@kvpress --json figures.json");
    INFO(through.err);
    REQUIRE(through.code == 0);
    const auto json = nlohmann::json::parse(bytes_of(folder / "figures.json"));
    CHECK(json["rows"][0]["evictions"] == (400 - 64) / 16);
    CHECK(json["rows"][0]["cache"]["cells"] <= 64);
    CHECK(json["rows"][0]["cache"]["sliding_cells"] == 16);
    CHECK(json["rows"][0]["kl"] > 0.001);
    CHECK(run("--retention 1 --scorer snapkv@kvpress --json all.json").code == 0);
    CHECK(nlohmann::json::parse(bytes_of(folder / "all.json"))["rows"][0]["kl"] == 0.0);
    const Outcome shifted = run("--keep 64 --compare context_shift");
    CHECK(shifted.code == 2);
    CHECK_THAT(shifted.err, ContainsSubstring("'context_shift' is refused: llama.cpp does not shift"));
}
