// libevictlab on what earlier evictions left of a text: true positions, whose queries are asked, and what is refused.
// SPDX-License-Identifier: MIT
#include <evictlab/evictlab.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numeric>
#include <random>
#include <string>
#include <vector>

#include "tests/support/catch.hpp"

namespace {

class Scorer {
public:
    explicit Scorer(const std::string& text) {
        evl_failure why{};
        REQUIRE(evl_lab_open(nullptr, 0, &lab_, &why) == EVL_OK);
        const evl_status status = evl_scorer_open(lab_, text.c_str(), &scorer_, &why);
        INFO(why.text);
        REQUIRE(status == EVL_OK);
    }
    ~Scorer() {
        evl_scorer_close(scorer_);
        evl_lab_close(lab_);
    }
    Scorer(const Scorer&) = delete;
    Scorer& operator=(const Scorer&) = delete;
    const evl_scorer* get() const { return scorer_; }
    std::uint64_t queries() const {
        evl_needs needs{};
        needs.struct_size = sizeof needs;
        evl_scorer_needs(scorer_, &needs);
        return needs.queries;
    }

private:
    evl_lab* lab_ = nullptr;
    evl_scorer* scorer_ = nullptr;
};

/// Scores [kv_heads][tokens].
std::vector<double> scores(const Scorer& scorer, const evl_layer& layer) {
    std::vector<double> found(std::size_t{layer.kv_heads} * layer.tokens);
    evl_failure why{};
    const evl_status status = evl_scorer_score(scorer.get(), &layer, 0.5, found.data(), nullptr, &why);
    INFO(why.text);
    REQUIRE(status == EVL_OK);
    return found;
}

/// Why a layer is refused at a shape.
std::string refused(const Scorer& scorer, const evl_layer& layer, std::uint32_t granularity = EVL_HEAD) {
    evl_shape shape{};
    shape.struct_size = sizeof shape;
    shape.granularity = granularity;
    const double removed = 0.5;
    std::vector<std::uint8_t> kept(std::size_t{layer.kv_heads} * layer.tokens, 7);
    evl_selection asked{};
    asked.struct_size = sizeof asked;
    asked.shape = &shape;
    asked.budgets = 1;
    asked.removed = &removed;
    asked.kept = kept.data();
    evl_failure why{};
    CHECK(evl_scorer_select(scorer.get(), &layer, &asked, &why) == EVL_USAGE);
    CHECK(std::ranges::count(kept, 7) == std::ranges::ssize(kept));
    return why.text;
}

/// A text of 50 tokens in a layer of 4 query and 2 KV heads, of which some were evicted. A channel that RoPE does not
/// turn makes that no query attends to these: in the whole text, too, they have no attention.
struct Text {
    static constexpr std::size_t tokens = 50, dim = 8, blind = 3;
    std::vector<std::vector<std::uint32_t>> left{
        {0, 1, 2, 5, 9, 12, 13, 14, 20, 24, 28, 31, 36, 40, 41, 42, 44, 45, 46, 48},
        {0, 3, 4, 7, 8, 10, 15, 19, 22, 23, 25, 30, 35, 38, 39, 42, 43, 46, 47, 49}};
    std::vector<float> q, k, v, frequencies{0.9F, 0.2F, 0.01F, 0};
    std::vector<std::uint8_t> types;
    std::vector<float> left_k, left_v;
    std::vector<std::uint32_t> positions;
    std::vector<std::uint8_t> left_types;

    Text() : q(4 * tokens * dim), k(2 * tokens * dim), v(k.size()) {
        std::mt19937 random(11);
        std::normal_distribution<float> normal;
        for (auto* values : {&q, &k, &v})
            for (float& x : *values) x = normal(random);
        for (std::size_t i = 0; i < tokens; ++i) types.push_back(static_cast<std::uint8_t>(random() % 4));
        for (std::size_t at = 0; at < q.size(); at += dim) q[at + blind] = 1, q[at + blind + dim / 2] = 0;
        for (std::size_t h = 0; h < 2; ++h)
            for (std::uint32_t i = 0; i < tokens; ++i) {
                float* const key = k.data() + (h * tokens + i) * dim;
                const bool stays = std::ranges::binary_search(left[h], i);
                key[blind] = stays ? 0 : -1e4F;
                key[blind + dim / 2] = 0;
                if (!stays) continue;
                const float* const value = v.data() + (h * tokens + i) * dim;
                left_k.insert(left_k.end(), key, key + dim);
                left_v.insert(left_v.end(), value, value + dim);
                positions.push_back(i);
                left_types.push_back(types[i]);
            }
    }
    evl_layer whole(std::uint64_t window = 0) const {
        evl_layer layer{};
        layer.struct_size = sizeof layer;
        layer.layer = 1;
        layer.num_layers = 3;
        layer.query_heads = 4;
        layer.kv_heads = 2;
        layer.tokens = tokens;
        layer.dim = dim;
        layer.q = q.data();
        layer.k = k.data();
        layer.v = v.data();
        layer.q_head_stride = layer.k_head_stride = layer.v_head_stride = tokens * dim;
        layer.q_token_stride = layer.k_token_stride = layer.v_token_stride = dim;
        layer.rope_inv_freq = frequencies.data();
        layer.rope_scale = 1.2;
        layer.softmax_scale = 0.6;
        layer.sliding_window = window;
        layer.token_type = types.data();
        return layer;
    }
    std::size_t cached() const { return left[0].size(); }
    /// With the latest `queries` alone.
    evl_layer evicted(std::uint64_t window = 0, std::uint64_t queries = tokens) const {
        evl_layer layer = whole(window);
        layer.tokens = static_cast<std::uint32_t>(cached());
        layer.k = left_k.data();
        layer.v = left_v.data();
        layer.k_head_stride = layer.v_head_stride = static_cast<std::ptrdiff_t>(cached() * dim);
        layer.first_query = tokens - std::min<std::uint64_t>(tokens, queries);
        layer.q += layer.first_query * dim;
        layer.position = positions.data();
        layer.position_stride = static_cast<std::ptrdiff_t>(cached());
        layer.seen = tokens;
        layer.token_type = left_types.data();
        layer.token_type_stride = layer.position_stride;
        return layer;
    }
};

} // namespace

TEST_CASE("columns of a cache with gaps are those of the whole text, to whose evicted tokens nobody attended") {
    const Text text;
    const std::uint64_t window = GENERATE(0, 12);
    for (const char* column : {"position",
                               "relative_pos",
                               "relative_age",
                               "sequence_len",
                               "is_sink",
                               "token_type",
                               "key_norm",
                               "value_norm",
                               "last_attn",
                               "last_attn:all",
                               "recent_attn",
                               "window_attn:6",
                               "window_max:5",
                               "window_var:6",
                               "window_std:6",
                               "window_entropy:6",
                               "layer_attn:6",
                               "group_max_attn:5",
                               "defensive_attn:7:pool=1",
                               "leave_one_out:6",
                               "replayed_attn:8",
                               "replayed_attn:6:rms",
                               "replayed_attn:all:count=20",
                               "expected_attn:future=20:sinks=2",
                               "expected_attn:future=20:mean"}) {
        const Scorer scorer(std::string("=") + column);
        const auto whole = scores(scorer, text.whole(window));
        const auto evicted = scores(scorer, text.evicted(window, scorer.queries()));
        for (std::size_t h = 0; h < 2; ++h)
            for (std::size_t i = 0; i < text.cached(); ++i) {
                INFO(column << ", window " << window << ", head " << h << ", position " << text.left[h][i]);
                CHECK(evicted[h * text.cached() + i] ==
                      Approx(whole[h * Text::tokens + text.left[h][i]]).epsilon(1e-5).margin(1e-9));
            }
    }
}

TEST_CASE("three tokens are left of twelve: ages and attention by hand") {
    const std::vector<std::uint32_t> positions{0, 5, 9};
    const float two = std::log(2.0F);
    const std::vector<float> q{1, 0, 1, 0}, k{0, 0, two, 0, 2 * two, 0}, v{1, 0, 1, 0, 1, 0}; // logits 0, ln 2, ln 4
    evl_layer layer{};
    layer.struct_size = sizeof layer;
    layer.num_layers = layer.query_heads = layer.kv_heads = 1;
    layer.tokens = 3;
    layer.dim = 2;
    layer.q = q.data();
    layer.k = k.data();
    layer.v = v.data();
    layer.q_token_stride = layer.k_token_stride = layer.v_token_stride = 2;
    layer.rope_scale = layer.softmax_scale = 1;
    layer.first_query = 10;
    layer.position = positions.data();
    layer.seen = 12;
    CHECK(scores(Scorer("=relative_pos"), layer) == std::vector<double>{11, 6, 2});
    CHECK(scores(Scorer("=sequence_len"), layer) == std::vector<double>{12, 12, 12});
    CHECK(scores(Scorer("=is_sink"), layer) == std::vector<double>{1, 0, 0});
    const auto attention = scores(Scorer("=window_attn:2"), layer);
    for (std::size_t i = 0; i < 3; ++i) CHECK(attention[i] == Approx((1 << i) / 7.0).epsilon(1e-6));
    layer.sliding_window = 6; // query 10 sees 5 and 9, query 11 sees 9 alone
    const auto windowed = scores(Scorer("=window_attn:2"), layer);
    CHECK(windowed[0] == 0);
    CHECK(windowed[1] == Approx(1 / 6.0).epsilon(1e-6));
    CHECK(windowed[2] == Approx(5 / 6.0).epsilon(1e-6));
    layer.sliding_window = 2; // nobody sees anything of it
    CHECK(scores(Scorer("=window_attn:1"), layer) == std::vector<double>{0, 0, 0});
}

TEST_CASE("positions without gaps change no bit, and callers that do not know them go on") {
    const Text text;
    evl_layer plain = text.whole(), told = plain, old = plain;
    std::vector<std::uint32_t> positions(Text::tokens);
    std::iota(positions.begin(), positions.end(), 0U);
    told.position = positions.data();
    told.seen = Text::tokens;
    old.struct_size = offsetof(evl_layer, position);
    old.position = text.positions.data(); // what such a caller has there is nothing of ours
    old.seen = 3;
    for (const char* scorer :
         {"streaming_llm@paper", "snapkv@kvpress:window=8", "expected_attention@kvpress", "observed_attention@kvpress",
          "keydiff@kvpress", "=replayed_attn:all + cumulative_attn", "=token_type*value_norm + layer_attn:0"}) {
        INFO(scorer);
        const Scorer opened(scorer);
        const auto expected = scores(opened, plain);
        CHECK(scores(opened, told) == expected);
        CHECK(scores(opened, old) == expected);
    }
}

TEST_CASE("published methods evict again, by what they read of the latest queries and the true positions") {
    const Text text;
    for (const char* scorer : {"streaming_llm@paper", "snapkv@kvpress:window=8", "tova@kvpress", "knorm@kvpress",
                               "rkv@paper", "lagkv@kvpress:lag=4", "expected_attention@kvpress", "random"}) {
        INFO(scorer);
        const Scorer opened(scorer);
        evl_failure why{};
        CHECK(evl_scorer_fits_gaps(opened.get(), 0, &why) == EVL_OK);
        const auto found = scores(opened, text.evicted(0, opened.queries()));
        CHECK(std::ranges::none_of(found, [](double x) { return std::isnan(x); }));
    }
    const auto streaming = scores(Scorer("streaming_llm@paper"), text.evicted());
    CHECK(std::isinf(streaming[2])); // position 2 is a sink, position 5 is none
    CHECK(streaming[3] == 5);
    CHECK(streaming[text.cached() + 2] == 4); // of the other head: 0, 3, 4
    CHECK(Scorer("=defensive_attn:7").queries() == 7);
    CHECK(Scorer("=rank:replayed_attn:64").queries() == 64);
    CHECK(Scorer("=replayed_attn:all").queries() == EVL_ALL_QUERIES);
}

TEST_CASE("one set is kept by heads that cache the same tokens, and blocks and ends are those of the cache") {
    Text text;
    text.left[1] = text.left[0];
    Text alike = text; // the keys of the second head are other tokens' then, which is nothing to positions
    std::ranges::copy_n(alike.positions.begin(), static_cast<std::ptrdiff_t>(alike.cached()),
                        alike.positions.begin() + static_cast<std::ptrdiff_t>(alike.cached()));
    const evl_layer layer = alike.evicted();
    evl_shape shape{};
    shape.struct_size = sizeof shape;
    shape.granularity = EVL_LAYER;
    shape.block = 4;
    shape.sinks = 1;
    shape.recent = 1;
    const std::uint64_t keep = 12;
    std::vector<std::uint8_t> kept(2 * alike.cached());
    evl_selection asked{};
    asked.struct_size = sizeof asked;
    asked.shape = &shape;
    asked.budgets = 1;
    asked.keep = &keep;
    asked.kept = kept.data();
    evl_failure why{};
    REQUIRE(evl_scorer_select(Scorer("=0 - position").get(), &layer, &asked, &why) == EVL_OK);
    std::vector<std::uint8_t> expected(alike.cached());
    for (const std::size_t i : {0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19}) expected[i] = 1;
    for (std::size_t h = 0; h < 2; ++h)
        CHECK(std::equal(expected.begin(), expected.end(),
                         kept.begin() + static_cast<std::ptrdiff_t>(h * alike.cached())));

    CHECK_THAT(refused(Scorer("=position"), Text().evicted(), EVL_LAYER),
               ContainsSubstring("differs from head to head"));
    evl_model* model = nullptr;
    const Scorer position("=position");
    shape.granularity = EVL_MODEL;
    REQUIRE(evl_model_open_shape(position.get(), &asked, &model, &why) == EVL_OK);
    CHECK(evl_model_add(model, &layer, &why) == EVL_OK);
    evl_layer other = layer;
    other.layer = 2;
    std::vector<std::uint32_t> moved = alike.positions;
    moved[alike.cached() - 1] = moved.back() = 49;
    other.position = moved.data();
    CHECK(evl_model_add(model, &other, &why) == EVL_USAGE);
    CHECK_THAT(why.text, ContainsSubstring("layers that share one set must cache the same tokens"));
    other.position = alike.positions.data();
    CHECK(evl_model_add(model, &other, &why) == EVL_OK);
    evl_model_close(model);
}

TEST_CASE("what would be wrong after an eviction is refused by name") {
    const Text text;
    const evl_layer layer = text.evicted();
    for (const char* column :
         {"cumulative_attn", "observed_attn", "attn_entropy", "layer_attn:0", "rank:observed_attn"}) {
        const Scorer scorer(std::string("=") + column);
        INFO(column);
        CHECK_THAT(refused(scorer, layer), ContainsSubstring("the attention of all queries so far"));
        evl_failure why{};
        CHECK(evl_scorer_fits_gaps(scorer.get(), 1, &why) == EVL_USAGE);
        CHECK_THAT(why.text, ContainsSubstring("nothing was evicted before"));
    }
    const Scorer share("=head_share:value_norm");
    evl_failure why{};
    CHECK(evl_scorer_fits_gaps(share.get(), 1, &why) == EVL_OK);
    CHECK(evl_scorer_fits_gaps(share.get(), 0, &why) == EVL_USAGE);
    CHECK_THAT(refused(share, layer), ContainsSubstring("reads head_share:value_norm, which joins what heads have"));
    CHECK_THAT(refused(Scorer("adaptive_rkv@openvino"), layer), ContainsSubstring("reads queries and keys by itself"));
    CHECK_THAT(refused(Scorer("expected_attention@kvpress"), text.evicted(0, 10)),
               ContainsSubstring("needs the queries from position 0 on, and layer.q begins at 40"));

    evl_layer wrong = layer;
    wrong.token_type_stride = 0;
    CHECK_THAT(refused(Scorer("=token_type"), wrong), ContainsSubstring("layer.token_type_stride is 0"));
    wrong = layer;
    wrong.seen = 49;
    CHECK_THAT(refused(Scorer("=position"), wrong), ContainsSubstring("is 49 at head 1, token 19"));
    wrong.position = nullptr;
    CHECK_THAT(refused(Scorer("=position"), wrong), ContainsSubstring("layer.position is NULL"));
    wrong = layer;
    std::vector<std::uint32_t> twice = text.positions;
    twice[4] = twice[3];
    wrong.position = twice.data();
    CHECK_THAT(refused(Scorer("=position"), wrong), ContainsSubstring("is 5 at head 0, token 4, but positions ascend"));
}
