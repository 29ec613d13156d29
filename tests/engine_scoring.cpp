// Scorers are shown the model's own queries, keys and values: what is kept is what libevictlab keeps of these.
// SPDX-License-Identifier: MIT
#include <algorithm>
#include <limits>

#include "base/error.hpp"
#include "engine/output_projection.hpp"
#include "engine/token_types.hpp"
#include "framework/attention/wov_norms.hpp"
#include "framework/cut/join.hpp"
#include "framework/cut/top_k.hpp"
#include "tests/engine/tiny_sequence.hpp"
#include "tests/support/catch.hpp"

using namespace evictlab;
using namespace evictlab::engine;
using namespace evictlab::test;

namespace {

constexpr std::size_t n = 90;
constexpr double infinity = std::numeric_limits<double>::infinity();

const Lab& lab() {
    static const Lab opened(std::span<const std::filesystem::path>{});
    return opened;
}

/// The layer as the slow computation has it, which knows nothing of llama.cpp.
std::vector<std::uint8_t> kept_by_library(const Scorer& scorer, const TinyLlama& tiny, std::size_t number,
                                          const TinyLlama::Layer& layer, double removed, double rope_factor) {
    const TinyShape& shape = tiny.shape();
    const std::vector<float> inv_freq = tiny.rope_inv_freq(rope_factor);
    const std::string text = "?" + text_of(n);
    std::vector<std::uint8_t> types{2};
    for (std::size_t i = 1; i < n; ++i) types.push_back(type_of_text(text.substr(i, 1)));
    LayerView view;
    view.shape = {shape.heads, shape.kv_heads, n, shape.dim};
    view.v = layer.v.data();
    view.v_stride = n * shape.dim;
    const std::vector<float> norms = wov_norms(view, tiny.output_projection(number));
    evl_layer given{};
    given.struct_size = sizeof given;
    given.layer = static_cast<std::uint32_t>(number);
    given.num_layers = static_cast<std::uint32_t>(shape.layers);
    given.query_heads = static_cast<std::uint32_t>(shape.heads);
    given.kv_heads = static_cast<std::uint32_t>(shape.kv_heads);
    given.tokens = n;
    given.dim = static_cast<std::uint32_t>(shape.dim);
    given.q = layer.q.data();
    given.k = layer.k.data();
    given.v = layer.v.data();
    given.q_head_stride = given.k_head_stride = given.v_head_stride = static_cast<std::ptrdiff_t>(n * shape.dim);
    given.q_token_stride = given.k_token_stride = given.v_token_stride = static_cast<std::ptrdiff_t>(shape.dim);
    given.rope_inv_freq = inv_freq.data();
    given.rope_scale = 1;
    given.softmax_scale = 1 / std::sqrt(static_cast<double>(shape.dim));
    given.token_type = types.data();
    given.wov_norm = norms.data();
    given.wov_norm_stride = n;
    std::vector<std::uint8_t> kept(shape.kv_heads * n);
    REQUIRE(evl_scorer_keep(scorer.get(), &given, &removed, 1, kept.data(), nullptr, nullptr, nullptr) == EVL_OK);
    return kept;
}

KeptCells kept_in_llama(const OpenTiny& open, const Scorer& scorer, const Shape& shape, Budget budget,
                        ggml_type type = GGML_TYPE_F16) {
    Sequence sequence = open.sequence(512, type);
    const auto queries = std::min<std::uint64_t>(n, scorer.needs().queries);
    sequence.record_queries(n - queries);
    sequence.feed(TinyLlama::tokens(text_of(n)));
    return choose(scorer, sequence.snapshot().cached(), {shape, 2}, budget);
}

/// How many places two kept sets differ in: rounding to F16 may turn near ties around.
std::size_t different(const std::vector<std::uint32_t>& kept, std::span<const std::uint8_t> mask) {
    std::size_t missing = 0;
    for (const std::uint32_t i : kept) missing += mask[i] == 0 ? 1 : 0;
    return missing;
}

} // namespace

TEST_CASE("Each head keeps what libevictlab keeps of the model's own queries, keys and values") {
    for (const bool half_split : {false, true}) {
        TinyLlama::File how;
        how.half_split = half_split;
        how.texts = {{"rope.scaling.type", "linear"}};
        how.numbers = {{"rope.scaling.factor", 2}};
        const OpenTiny open({}, how);
        const TinyLlama::Run run = open.tiny.run(TinyLlama::tokens(text_of(n)), n, {}, 0.5);
        for (const char* name :
             {"=key_norm * (1 + 0.001 * position)", "snapkv@kvpress", "expected_attention@kvpress", "keydiff@kvpress",
              "observed_attention@kvpress", "evolved@real", "streaming_llm@kvpress",
              "criticalkv@kvpress(snapkv@kvpress)", "=token_type + 0.001 * position"}) {
            const Scorer scorer(lab(), name);
            const KeptCells found = kept_in_llama(open, scorer, {}, {0, 30}),
                            exact = kept_in_llama(open, scorer, {}, {0, 30}, GGML_TYPE_F32);
            for (std::size_t l = 0; l < 3; ++l) {
                const auto expected =
                    kept_by_library(scorer, open.tiny, l, run.layers[l], Budget{0, 30}.removed(n), 0.5);
                for (std::size_t h = 0; h < 2; ++h) {
                    INFO(name << ", layer " << l << ", head " << h << (half_split ? ", half-split" : ""));
                    CHECK(found[l][h].size() == 30);
                    CHECK(different(found[l][h], std::span(expected).subspan(h * n, n)) <= 1);
                    CHECK(different(exact[l][h], std::span(expected).subspan(h * n, n)) == 0);
                }
            }
        }
    }
}

TEST_CASE("A budget is kvpress's share, or exactly what is asked for") {
    CHECK(Budget{0.25, 0}.kept(10) == 2);
    CHECK(Budget{0.01, 0}.kept(10) == 1);
    CHECK(Budget{1, 0}.kept(10) == 10);
    for (std::size_t tokens = 1; tokens < 3000; tokens += 7)
        for (const std::size_t keep : {std::size_t{1}, tokens / 3 + 1, tokens})
            REQUIRE(Budget{0, keep}.kept(tokens) == keep);
    CHECK(Budget{0, 99}.kept(10) == 10);
}

TEST_CASE("With one set for the model all heads and layers keep the tokens whose joined scores are highest") {
    const OpenTiny open;
    const Scorer scorer(lab(), "knorm@kvpress");
    const TinyLlama::Run run = open.tiny.run(TinyLlama::tokens(text_of(n)));
    for (const Join join : {Join::mean, Join::max, Join::rank}) {
        const KeptCells found = kept_in_llama(open, scorer, {Granularity::model, join}, {0, 20});
        for (const auto& layer : found)
            for (const auto& head : layer) CHECK(head == found[0][0]);
        std::vector<std::vector<double>> rows;
        for (const auto& layer : run.layers)
            for (std::size_t h = 0; h < 2; ++h) {
                std::vector<double> row;
                for (std::size_t i = 0; i < n; ++i) {
                    double squares = 0;
                    for (std::size_t x = 0; x < 32; ++x)
                        squares += static_cast<double>(layer.k[(h * n + i) * 32 + x]) *
                                   static_cast<double>(layer.k[(h * n + i) * 32 + x]);
                    row.push_back(-std::sqrt(squares));
                }
                rows.push_back(row);
            }
        std::vector<std::uint8_t> mask(n);
        for (const std::uint32_t i : top_k(joined(rows, join), 20)) mask[i] = 1;
        CHECK(different(found[0][0], mask) <= 1);
    }
}

TEST_CASE("Blocks go together, and the first and last tokens stay, at every grain") {
    const OpenTiny open;
    const Scorer scorer(lab(), "=position"); // the oldest go
    Shape shape{.block = 10, .sinks = 5, .recent = 1};
    for (const Granularity granularity : {Granularity::head, Granularity::layer, Granularity::model}) {
        shape.granularity = granularity;
        std::vector<std::uint32_t> expected;
        for (const std::uint32_t first : {0U, 70U, 80U}) // 30 of 90 tokens
            for (std::uint32_t i = first; i < first + 10; ++i) expected.push_back(i);
        for (const auto& layer : kept_in_llama(open, scorer, shape, {0, 39}))
            for (const auto& head : layer) CHECK(head == expected);
    }
    // 90 tokens in blocks of 16 end in one of 10.
    const Scorer by_norm(lab(), "=key_norm");
    shape = {Granularity::head, Join::mean, 16};
    CHECK_THROWS_WITH(kept_in_llama(open, by_norm, shape, {0, 40}),
                      ContainsSubstring("end in a block of 10, which some heads"));
    CHECK_NOTHROW(kept_in_llama(open, by_norm, shape, {0, 90}));
    shape.recent = 1;
    CHECK(kept_in_llama(open, by_norm, shape, {0, 40})[0][1].size() == 26);
    shape = {Granularity::model, Join::mean, 16};
    CHECK(kept_in_llama(open, by_norm, shape, {0, 40})[0][1].size() % 16 % 10 == 0);
    shape.sinks = 50;
    CHECK_THROWS_WITH(kept_in_llama(open, by_norm, shape, {0, 40}), ContainsSubstring("keep more, or protect fewer"));
}

TEST_CASE("What cannot be had in cells that all heads share is refused by name") {
    const auto check = [](const char* name, Granularity granularity, bool again) {
        check_scorer(Scorer(lab(), name), {granularity}, again);
    };
    for (const Granularity granularity : {Granularity::head, Granularity::model}) {
        CHECK_THROWS_WITH(check("adakv@kvpress(snapkv@kvpress)", granularity, false),
                          ContainsSubstring("heads keep different counts"));
        CHECK_THROWS_WITH(check("pyramidkv@kvpress", granularity, false), ContainsSubstring("different counts"));
        CHECK_THROWS_WITH(check("evolved@real", granularity, true),
                          ContainsSubstring("more than once: scorer 'evolved@real' reads ") &&
                              ContainsSubstring("the attention of all queries so far"));
        for (const char* taken :
             {"snapkv@kvpress", "expected_attention@kvpress", "=token_type", "observed_attention@kvpress"})
            CHECK_NOTHROW(check(taken, granularity, true));
    }
    CHECK_THROWS_WITH(check("=head_share:key_norm", Granularity::head, true),
                      ContainsSubstring("they cache different"));
    CHECK_NOTHROW(check("=head_share:key_norm", Granularity::head, false));
    CHECK_NOTHROW(check("=head_share:key_norm", Granularity::layer, true));
    CHECK_THROWS_AS(Scorer(lab(), "snapkw"), UsageError);
}

TEST_CASE("Output projections come from the file, of any type") {
    TinyLlama::File how;
    how.projections = GGML_TYPE_Q8_0;
    const OpenTiny plain, quantised({}, how);
    for (std::size_t l = 0; l < 3; ++l) {
        CHECK(output_projection(plain.model->file(), l, 128) == plain.tiny.output_projection(l));
        const std::vector<float> rounded = output_projection(quantised.model->file(), l, 128);
        for (std::size_t i = 0; i < rounded.size(); i += 97)
            CHECK(rounded[i] == Approx(plain.tiny.output_projection(l)[i]).margin(0.01));
    }
    CHECK_THROWS_WITH(output_projection(plain.model->file(), 3, 128),
                      ContainsSubstring("blk.3.attn_output.weight is not"));
    CHECK_THROWS_WITH(output_projection(plain.model->file(), 0, 64), ContainsSubstring("takes 128 numbers, not 64"));
}

TEST_CASE("Tokens are words, numbers, signs or special, as captured suites have them") {
    for (const char* word : {"a", " the", "\xc3\xa9", "\xc3", "x2", "\xe4\xb8\xad"}) CHECK(type_of_text(word) == 0);
    for (const char* sign : {"", " ", ".", "\n\n", "--", "\xe2\x82\xac"}) CHECK(type_of_text(sign) == 1);
    for (const char* number : {"7", " 12", "-3.5", "\xc2\xbd"}) CHECK(type_of_text(number) == 3);
    const OpenTiny open;
    CHECK(token_types(*open.model, TinyLlama::tokens("a 1.")) == std::vector<std::uint8_t>{2, 0, 1, 3, 1});
}
