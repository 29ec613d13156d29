// A cache from which tokens went before: scorers are told what is cached, where it stands in the text, and the queries
// that they need. SPDX-License-Identifier: MIT
#include <algorithm>

#include "engine/stream.hpp"
#include "engine/token_types.hpp"
#include "tests/engine/tiny_sequence.hpp"
#include "tests/support/catch.hpp"

using namespace evictlab;
using namespace evictlab::engine;
using namespace evictlab::test;

namespace {

constexpr std::size_t prompt = 60, middle = 20, n = prompt + middle, kept_first = 25, kept_second = 15;

const Lab& lab() {
    static const Lab opened(std::span<const std::filesystem::path>{});
    return opened;
}

/// A layer behind the middle, as the slow computation has it, which knows nothing of llama.cpp: of each head the tokens
/// at these positions are cached.
class Given {
public:
    Given(const TinyLlama& tiny, std::size_t number, const TinyLlama::Layer& layer,
          const std::vector<std::vector<std::uint32_t>>& cached, bool by_places)
        : inv_freq_(tiny.rope_inv_freq()), q_(layer.q) {
        const TinyShape& shape = tiny.shape();
        const std::size_t dim = shape.dim, cells = cached.front().size(), group = shape.heads / shape.kv_heads;
        const std::string text = "?" + text_of(n);
        for (const auto& head : cached)
            for (const std::uint32_t position : head) {
                const auto row = static_cast<std::ptrdiff_t>(((&head - cached.data()) * n + position) * dim);
                k_.insert(k_.end(), layer.k.begin() + row, layer.k.begin() + row + static_cast<std::ptrdiff_t>(dim));
                v_.insert(v_.end(), layer.v.begin() + row, layer.v.begin() + row + static_cast<std::ptrdiff_t>(dim));
                positions_.push_back(position);
                types_.push_back(position == 0 ? 2 : type_of_text(text.substr(position, 1)));
            }
        if (by_places) {
            q_.clear();
            for (std::size_t h = 0; h < shape.heads; ++h)
                for (const std::uint32_t position : cached[h / group]) {
                    const auto row = static_cast<std::ptrdiff_t>((h * n + position) * dim);
                    q_.insert(q_.end(), layer.q.begin() + row,
                              layer.q.begin() + row + static_cast<std::ptrdiff_t>(dim));
                }
        } else {
            layer_.position = positions_.data();
            layer_.position_stride = static_cast<std::ptrdiff_t>(cells);
            layer_.seen = n;
        }
        layer_.struct_size = sizeof layer_;
        layer_.layer = static_cast<std::uint32_t>(number);
        layer_.num_layers = static_cast<std::uint32_t>(shape.layers);
        layer_.query_heads = static_cast<std::uint32_t>(shape.heads);
        layer_.kv_heads = static_cast<std::uint32_t>(shape.kv_heads);
        layer_.tokens = static_cast<std::uint32_t>(cells);
        layer_.dim = static_cast<std::uint32_t>(dim);
        layer_.q = q_.data();
        layer_.k = k_.data();
        layer_.v = v_.data();
        layer_.q_head_stride = static_cast<std::ptrdiff_t>((by_places ? cells : n) * dim);
        layer_.k_head_stride = layer_.v_head_stride = static_cast<std::ptrdiff_t>(cells * dim);
        layer_.q_token_stride = layer_.k_token_stride = layer_.v_token_stride = static_cast<std::ptrdiff_t>(dim);
        layer_.rope_inv_freq = inv_freq_.data();
        layer_.rope_scale = 1;
        layer_.softmax_scale = 1 / std::sqrt(static_cast<double>(dim));
        layer_.token_type = types_.data();
        layer_.token_type_stride = static_cast<std::ptrdiff_t>(cells);
    }
    Given(const Given&) = delete;

    /// [KV head]: cells that stay.
    std::vector<std::vector<std::uint32_t>> kept(const Scorer& scorer) const {
        const std::uint64_t keep = kept_second;
        std::vector<std::uint32_t> places(std::size_t{layer_.kv_heads} * layer_.tokens);
        std::vector<std::uint64_t> counts(layer_.kv_heads);
        evl_selection selection{};
        selection.struct_size = sizeof selection;
        selection.budgets = 1;
        selection.keep = &keep;
        selection.places = places.data();
        selection.counts = counts.data();
        evl_failure why{};
        const evl_status status = evl_scorer_select(scorer.get(), &layer_, &selection, &why);
        INFO(why.text);
        REQUIRE(status == EVL_OK);
        std::vector<std::vector<std::uint32_t>> all;
        for (std::size_t h = 0; h < counts.size(); ++h)
            all.emplace_back(places.data() + h * layer_.tokens, places.data() + h * layer_.tokens + counts[h]);
        return all;
    }

private:
    std::vector<float> inv_freq_, q_, k_, v_;
    std::vector<std::uint32_t> positions_;
    std::vector<std::uint8_t> types_;
    evl_layer layer_{};
};

/// What stays of the cache, when a scorer is asked again `middle` tokens behind a prompt of which some cells stayed.
KeptCells kept_again(const OpenTiny& open, const Scorer& scorer, const KeptCells& first,
                     const std::vector<llama_token>& text) {
    Sequence full = open.sequence(512, GGML_TYPE_F32), small = open.sequence(64, GGML_TYPE_F32);
    full.record_queries(0);
    full.feed(std::span(text).first(prompt));
    small.become(full.snapshot().cached(), first, Granularity::head, carried_for(scorer, {}));
    small.record_queries(0);
    small.feed(std::span(text).subspan(prompt));
    return choose(scorer, small.snapshot().cached(), {{}, 1}, {0, kept_second});
}

} // namespace

TEST_CASE("Once tokens are gone scorers see the others at their positions in the text, and its latest queries") {
    const OpenTiny open;
    const std::vector<llama_token> text = TinyLlama::tokens(text_of(n));
    const KeptCells first = drawn_cells({}, prompt, kept_first, 5);
    const TinyLlama::Run run = open.tiny.run(text, prompt, first);
    const auto check = [&](const char* name, bool by_places) {
        const Scorer scorer(lab(), name);
        CHECK(scorer.gaps(false) == (by_places ? Scorer::Gaps::places : Scorer::Gaps::positions));
        const KeptCells found = kept_again(open, scorer, first, text);
        for (std::size_t l = 0; l < 3; ++l) {
            std::vector<std::vector<std::uint32_t>> cached = first[l];
            for (auto& head : cached)
                for (std::uint32_t i = prompt; i < n; ++i) head.push_back(i);
            INFO(name << ", layer " << l);
            CHECK(found[l] == Given(open.tiny, l, run.layers[l], cached, by_places).kept(scorer));
        }
        return found;
    };
    for (const char* name : {"snapkv@kvpress:window=8", "snapkv@kvpress:window=32", "streaming_llm@kvpress",
                             "expected_attention@kvpress", "=token_type + 0.001*position", "keydiff@kvpress"})
        check(name, false);
    // By a rule that only positions tell from places: the nearest to a token of the text.
    const KeptCells middle_of_text = check("=0 - abs(position - 40)", false);
    CHECK(middle_of_text[0][0] != middle_of_text[0][1]);
    check("observed_attention@kvpress", true);
}

TEST_CASE("A text of any length holds no more queries than its scorer reads") {
    const OpenTiny open;
    const std::vector<llama_token> text = TinyLlama::tokens(text_of(1000));
    for (const Granularity granularity : {Granularity::head, Granularity::model}) {
        const ScorerPolicy policy(Scorer(lab(), "snapkv@kvpress:window=8"), {{granularity}, 1}, true);
        Sequence sequence = open.sequence(64);
        sequence.record_queries(0);
        Stream stream(sequence, policy, 64, 16);
        stream.feed(text);
        CHECK(sequence.tap().rows() <= 8 + 16);
        stream.evict(48);
        CHECK(sequence.tap().rows() == 8);
        const CacheState state = sequence.state();
        const Cached cached = sequence.cached(state);
        REQUIRE(cached.positions.size() == 3);
        for (const auto& layer : cached.positions)
            for (const auto& head : layer) {
                CHECK(head.size() == 48);
                CHECK(head.back() == 999);
                CHECK(std::ranges::adjacent_find(head, std::ranges::greater_equal{}) == head.end());
            }
        CHECK(cached.token_types.size() == 1000);
    }
}

TEST_CASE("A snapshot goes on as the text it was taken of") {
    const OpenTiny open;
    const std::vector<llama_token> text = TinyLlama::tokens(text_of(300));
    for (const char* name : {"expected_attention@kvpress", "observed_attention@kvpress", "snapkv@kvpress:window=8"}) {
        const ScorerPolicy policy(Scorer(lab(), name), {{}, 1}, true);
        Sequence sequence = open.sequence(64);
        sequence.record_queries(0);
        Stream stream(sequence, policy, 64, 16);
        stream.feed(std::span(text).first(200));
        const Snapshot between = sequence.snapshot();
        const auto goes_on = [&] {
            const std::span<const float> logits = stream.feed(std::span(text).subspan(200));
            return std::vector<float>(logits.begin(), logits.end());
        };
        const std::vector<float> once = goes_on();
        sequence.become(between);
        CHECK(goes_on() == once);
    }
}
