// What is written back into llama.cpp's cache is what was kept: predictions are those of a model that sees no more.
// SPDX-License-Identifier: MIT
#include <algorithm>
#include <cmath>

#include "base/error.hpp"
#include "engine/policy.hpp"
#include "engine/program/continuation.hpp"
#include "tests/engine/tiny_sequence.hpp"
#include "tests/support/catch.hpp"

using namespace evictlab;
using namespace evictlab::engine;
using namespace evictlab::test;

namespace {

using Logits = std::vector<std::vector<float>>;

/// What is predicted behind each of the tokens.
Logits predictions(Sequence& sequence, const std::vector<llama_token>& tokens) {
    return follow([&](std::span<const llama_token> some) { return sequence.feed(some); }, tokens).logits;
}

double furthest(const Logits& a, const std::vector<std::vector<double>>& b, std::size_t from) {
    double most = 0;
    for (std::size_t i = 0; i < a.size(); ++i)
        for (std::size_t t = 0; t < a[i].size(); ++t)
            most = std::max(most, std::fabs(static_cast<double>(a[i][t]) - b[from + i][t]));
    return most;
}

double furthest(const Logits& a, const Logits& b) {
    std::vector<std::vector<double>> doubles;
    for (const auto& row : b) doubles.emplace_back(row.begin(), row.end());
    return furthest(a, doubles, 0);
}

struct Text {
    std::vector<llama_token> all, prompt, rest;
    Text(std::size_t in_front, std::size_t behind) : all(TinyLlama::tokens(text_of(in_front + behind))) {
        prompt.assign(all.begin(), all.begin() + static_cast<std::ptrdiff_t>(in_front));
        rest.assign(all.begin() + static_cast<std::ptrdiff_t>(in_front), all.end());
    }
};

/// What llama.cpp predicts where each head has kept its own cells of the prompt.
Logits evicted(const OpenTiny& open, const Text& text, const KeptCells& kept, Granularity granularity) {
    Sequence full = open.sequence(), small = open.sequence();
    full.feed(text.prompt);
    small.become(full.snapshot().cached(), kept, granularity);
    return predictions(small, text.rest);
}

// Keys and values are F16 in the cache, which moves logits of about 3 by less than that.
constexpr double rounding = 0.03;

} // namespace

TEST_CASE("llama.cpp computes what the model is") {
    const OpenTiny open;
    const Text text(60, 12);
    Sequence sequence = open.sequence();
    sequence.feed(text.prompt);
    CHECK(furthest(predictions(sequence, text.rest), open.tiny.run(text.all).logits, 60) < rounding);
}

TEST_CASE("A cache that is written back whole gives exactly the same predictions") {
    for (const bool half_split : {false, true}) {
        TinyLlama::File how;
        how.half_split = half_split;
        const OpenTiny open({}, how);
        const Text text(300, 20);
        Sequence full = open.sequence();
        full.feed(text.prompt);
        const Logits back = evicted(open, text, all_cells(full.state(), 3), Granularity::head);
        CHECK(back == predictions(full, text.rest));
        CHECK_NOTHROW(prove_round_trip(*open.model, text.prompt, {0, 1, GGML_TYPE_F16}));
        CHECK_NOTHROW(prove_round_trip(*open.model, text.prompt, {0, 2, GGML_TYPE_F32}));
    }
}

TEST_CASE("Heads that keep their own tokens predict as a model whose heads see no others") {
    for (const TinyShape& shape : {TinyShape{}, TinyShape{2, 3, 1, 32, 5}, TinyShape{2, 2, 2, 64, 6}})
        for (const std::size_t count : {std::size_t{1}, std::size_t{13}, std::size_t{59}}) {
            const OpenTiny open(shape);
            const Text text(60, 10);
            const KeptCells kept = drawn_cells(shape, 60, count, 7);
            const Logits found = evicted(open, text, kept, Granularity::head);
            INFO(shape.layers << " layers, " << shape.kv_heads << " KV heads, " << count << " kept");
            CHECK(furthest(found, open.tiny.run(text.all, 60, kept).logits, 60) < rounding);
            if (count < 59) CHECK(furthest(found, open.tiny.run(text.all).logits, 60) > 10 * rounding);
        }
}

TEST_CASE("Whole tokens that go predict as llama.cpp's own removal of them") {
    const OpenTiny open;
    const Text text(60, 10);
    std::vector<std::uint32_t> stay = drawn_cells({}, 59, 20, 3)[0][0];
    stay.push_back(59); // llama.cpp goes on from nothing else
    const KeptCells kept(3, std::vector<std::vector<std::uint32_t>>(2, stay));
    const Context context = open.model->context({256, 1, GGML_TYPE_F16});
    decode(context.get(), text.prompt, 0);
    for (llama_pos i = 0; i < 60; ++i)
        if (!std::ranges::binary_search(stay, static_cast<std::uint32_t>(i)))
            REQUIRE(llama_memory_seq_rm(llama_get_memory(context.get()), 0, i, i + 1));
    Logits removed;
    for (std::size_t i = 0; i < text.rest.size(); ++i) {
        const auto logits = decode(context.get(), std::span(text.rest).subspan(i, 1), 60 + i);
        removed.emplace_back(logits.begin(), logits.end());
    }
    CHECK(furthest(evicted(open, text, kept, Granularity::model), removed) < rounding);
    CHECK(furthest(evicted(open, text, kept, Granularity::head), removed) < rounding);
    CHECK(furthest(removed, open.tiny.run(text.all).logits, 60) > 10 * rounding);
}

TEST_CASE(
    "Positions of whole tokens stay theirs but for the last; heads' own cells stand right before the next token") {
    const OpenTiny open;
    const Text text(40, 2);
    Sequence full = open.sequence();
    full.feed(text.prompt);
    const CacheState state = full.state();
    const KeptCells kept(3, std::vector<std::vector<std::uint32_t>>(2, {0, 7, 31}));
    const auto positions = [&](Granularity granularity) {
        Sequence small = open.sequence();
        small.become(full.cached(state), kept, granularity);
        CHECK(small.next_position() == 40);
        CHECK(small.cells() == 3);
        small.feed(text.rest);
        const CacheState after = small.state();
        return std::vector<std::int32_t>(after.positions().begin(), after.positions().end());
    };
    CHECK(positions(Granularity::model) == std::vector<std::int32_t>{0, 7, 39, 40, 41});
    CHECK(positions(Granularity::head) == std::vector<std::int32_t>{37, 38, 39, 40, 41});
}

TEST_CASE("Tokens can go twice, in the same context") {
    const OpenTiny open;
    const Text text(60, 30);
    const std::vector<llama_token> middle(text.rest.begin(), text.rest.begin() + 20),
        rest(text.rest.begin() + 20, text.rest.end());
    const KeptCells first = drawn_cells({}, 60, 30, 1), second = drawn_cells({}, 50, 15, 2);
    Sequence full = open.sequence(), small = open.sequence(60);
    full.feed(text.prompt);
    small.become(full.snapshot().cached(), first, Granularity::head);
    small.feed(middle);
    const CacheState between = small.state();
    small.become(small.cached(between), second, Granularity::head);
    CHECK(small.next_position() == 80);

    // Layer 0 knows nothing of what is gone, so its keys and values are those of the text.
    const CacheState after = small.state();
    const std::vector<float> keys = after.keys(0), whole = open.tiny.run(text.all).layers[0].k;
    for (std::size_t h = 0; h < 2; ++h)
        for (std::size_t j = 0; j < 15; ++j) {
            const std::uint32_t cell = second[0][h][j], token = cell < 30 ? first[0][h][cell] : 60 + cell - 30;
            std::vector<float> key(keys.begin() + static_cast<std::ptrdiff_t>((h * 15 + j) * 32),
                                   keys.begin() + static_cast<std::ptrdiff_t>((h * 15 + j + 1) * 32));
            to_half_split(key);
            for (std::size_t x = 0; x < 32; ++x)
                REQUIRE(key[x] == Approx(whole[(h * 90 + token) * 32 + x]).margin(0.01));
        }
    for (const auto& row : predictions(small, rest))
        CHECK(std::ranges::all_of(row, [](float logit) { return std::isfinite(logit); }));
}

TEST_CASE("A state of another form is refused") {
    const OpenTiny open;
    Sequence full = open.sequence();
    full.feed(TinyLlama::tokens(text_of(20)));
    const CacheState state = full.state();
    REQUIRE(state.cells() == 20);
    REQUIRE(state.dim() == 32);
    REQUIRE(state.bytes_of_cell() == 3 * 2 * 2 * 32 * sizeof(std::uint16_t));
    const auto changed = [&](auto change, std::size_t layers = 3, std::size_t heads = 2) {
        std::vector<std::uint8_t> bytes = state.bytes();
        change(bytes);
        CacheLayout layout;
        layout.full.resize(layers);
        layout.kv_heads = heads;
        return [=] { return CacheState(bytes, layout); };
    };
    const auto nothing = [](auto&) {};
    CHECK_NOTHROW(changed(nothing)());
    CHECK_THROWS_WITH(changed([](auto& b) { b.push_back(0); })(), ContainsSubstring("1 bytes are left"));
    CHECK_THROWS_WITH(changed([](auto& b) { b.pop_back(); })(), ContainsSubstring("it ends after"));
    CHECK_THROWS_WITH(changed([](auto& b) { b.resize(10); })(), ContainsSubstring("it ends after 10 bytes"));
    CHECK_THROWS_WITH(changed([](auto& b) { b.clear(); })(), ContainsSubstring("it ends after 0 bytes"));
    CHECK_THROWS_WITH(changed([](auto& b) { b[0] ^= 1; })(), ContainsSubstring("its first number"));
    CHECK_THROWS_WITH(changed([](auto& b) { b[8] = 2; })(), ContainsSubstring("streams is 2, not 1"));
    CHECK_THROWS_WITH(changed(nothing, 4)(), ContainsSubstring("number of layers is 3, not 4"));
    CHECK_THROWS_WITH(changed([](auto& b) { b[16 + 20 * 12 + 8] = 8; })(), ContainsSubstring("a quantised cache"));
    CHECK_THROWS_AS(changed([](auto& b) { b[15] = 0xff; })(), Error); // 4 thousand million cells
}

TEST_CASE("A quantised cache, and what llama.cpp cannot open, are refused") {
    const OpenTiny open;
    const Context quantised = open.model->context({256, 1, GGML_TYPE_Q8_0});
    decode(quantised.get(), TinyLlama::tokens(text_of(20)), 0);
    CHECK_THROWS_WITH(CacheState(quantised.get(), open.model->layout()),
                      ContainsSubstring("a quantised cache is not handled"));
    put(open.folder / "no.gguf", "GGUF and nothing more");
    CHECK_THROWS_WITH(Model(open.folder / "no.gguf"), ContainsSubstring("llama.cpp cannot open"));
    CHECK_THROWS_AS(Model(open.folder / "missing.gguf"), UsageError);
}

TEST_CASE("RoPE that is not handled is refused by name") {
    const auto why = [](const TinyLlama::File& how) {
        const OpenTiny open({}, how);
        try {
            prove_round_trip(*open.model, TinyLlama::tokens(text_of(20)), {0, 1, GGML_TYPE_F16});
        } catch (const Error& error) {
            return std::string(error.what());
        }
        return std::string();
    };
    TinyLlama::File yarn, factors, linear;
    yarn.texts = {{"rope.scaling.type", "yarn"}};
    yarn.numbers = {{"rope.scaling.factor", 4}};
    factors.rope_factors = true;
    linear.texts = {{"rope.scaling.type", "linear"}};
    linear.numbers = {{"rope.scaling.factor", 4}};
    CHECK_THAT(why(yarn), ContainsSubstring("stretched by YaRN"));
    CHECK_THAT(why(factors), ContainsSubstring("factors of its own for each frequency"));
    CHECK(why(linear).empty());
}

TEST_CASE("Context shift is llama.cpp's own: the oldest go behind the first, the others move to their positions") {
    const OpenTiny open;
    const Text text(60, 10);
    const ContextShift shift("context_shift:n_keep=4", *open.model);
    const Context context = open.model->context({256, 1, GGML_TYPE_F16});
    const llama_memory_t memory = llama_get_memory(context.get());
    decode(context.get(), text.prompt, 0);
    REQUIRE(llama_memory_seq_rm(memory, 0, 4, 44)); // as llama.cpp's own programs do
    llama_memory_seq_add(memory, 0, 44, -1, -40);
    Logits expected;
    for (std::size_t i = 0; i < text.rest.size(); ++i) {
        const auto logits = decode(context.get(), std::span(text.rest).subspan(i, 1), 20 + i);
        expected.emplace_back(logits.begin(), logits.end());
    }
    Sequence in_place = open.sequence(), smaller = open.sequence();
    in_place.feed(text.prompt);
    const Snapshot prompt = in_place.snapshot();
    smaller.become(prompt);
    shift.begin(smaller, prompt.cached(), shift.choose(prompt.cached(), {0, 20}));
    CHECK(smaller.cells() == 20);
    CHECK(smaller.next_position() == 20);
    CHECK(furthest(predictions(smaller, text.rest), expected) < rounding);
    Costs costs;
    shift.evict(in_place, 20, costs);
    CHECK(costs.evictions == 1);
    CHECK(predictions(in_place, text.rest) == expected);
    CHECK(furthest(expected, open.tiny.run(text.all).logits, 60) > 10 * rounding);
    for (const char* wrong : {"context_shift:n_keep=", "context_shift:n_keep=x", "context_shift:keep=4"})
        CHECK_THROWS_WITH(ContextShift(wrong, *open.model),
                          ContainsSubstring("a whole number, as context_shift:n_keep=4"));
}
