// A layer's cache that is fed token by token keeps what the protocol decode keeps of the whole captured layer.
// SPDX-License-Identifier: MIT
#include "framework/protocols/layer_decoding.hpp"

#include "framework/capture/captured_suite.hpp"
#include "framework/cut/budget.hpp"
#include "framework/plugin/host.hpp"
#include "tests/support/catch.hpp"

using namespace evictlab;

namespace {

constexpr std::size_t steps = 24; ///< of the continuation

PluginHost& host() {
    static const std::filesystem::path folder = EVICTLAB_PLUGIN_FOLDER;
    static PluginHost found({&folder, 1});
    return found;
}

struct Captured {
    TracePtr trace = open_captured_suite(std::filesystem::path(EVICTLAB_SOURCE_DIR) / "suites" / "smollm2")
                         .search_traces()
                         .train.front();
    OwnedLayer layer = trace->captured()->load_layer(trace->captured()->layers()[1]);
    LayerView view = layer.view();
};

const Captured& captured() {
    static const Captured one;
    return one;
}

std::unique_ptr<CacheChooser> chooser_of(const ScorerRun& run, const ChooserTask& task, std::size_t end) {
    if (run.scorer().has_threshold()) return std::make_unique<ThresholdChooser>(run, task, end, nullptr);
    return std::make_unique<CapacityChooser>(run, task, Shape{});
}

/// The cuts of the whole layer, the prompt's first; those of no cut are empty.
std::vector<KeptSets> whole(const ScorerRun& run, double removed, std::size_t capacity, std::size_t interval) {
    const LayerView& view = captured().view;
    const AttentionRows rows(view);
    const ColumnPlaces places(run.scorer().columns());
    PromptColumns columns(view, &rows, places.ids());
    const BoardColumns by_id(places, columns.columns());
    PromptInput input(view, &rows, by_id);
    const auto chooser = chooser_of(run, {view, columns.columns(), input}, view.shape.tokens);
    CachedHeads heads;
    for (std::size_t a = 0; a < view.shape.kv_heads; ++a) heads.emplace_back(view, a);
    std::vector<KeptSets> cuts{chooser->first(removed)};
    for (std::size_t a = 0; a < heads.size(); ++a)
        for (const std::uint32_t position : cuts[0][a]) heads[a].add(position);
    for (std::size_t i = 0; i < steps; ++i) {
        for (CachedHead& head : heads) {
            head.add(view.prompt + i);
            head.attend(view.prompt + i);
        }
        chooser->saw(heads);
        cuts.emplace_back();
        if ((i + 1) % interval != 0 || !chooser->full(heads, capacity)) continue;
        cuts.back() = chooser->again(heads, capacity);
        for (std::size_t a = 0; a < heads.size(); ++a) heads[a].keep(cuts.back()[a]);
    }
    return cuts;
}

DecodedToken token_of(const LayerView& view, std::size_t position) {
    DecodedToken token;
    token.q = view.query(0, position);
    token.k = view.key(0, position);
    token.v = view.value(0, position);
    token.q_stride = static_cast<std::ptrdiff_t>(view.q_stride);
    token.k_stride = static_cast<std::ptrdiff_t>(view.k_stride);
    token.v_stride = static_cast<std::ptrdiff_t>(view.v_stride);
    token.token_type = view.token_type[position];
    return token;
}

std::vector<KeptSets> step_by_step(const ScorerRun& run, double removed, std::size_t capacity, std::size_t interval) {
    const LayerView& view = captured().view;
    LayerDecoding cache(run, view, view.prompt + steps, {});
    std::vector<KeptSets> cuts{cache.first(removed)};
    for (std::size_t i = 0; i < steps; ++i)
        cuts.push_back(
            cache.step(token_of(view, view.prompt + i), (i + 1) % interval == 0 ? capacity : 0).value_or(KeptSets{}));
    CHECK_THROWS_WITH(cache.step(token_of(view, view.prompt), capacity), ContainsSubstring("there is room for"));
    return cuts;
}

} // namespace

TEST_CASE("fed token by token, a layer's cache is cut as that of the whole layer") {
    const std::size_t n = captured().view.prompt, interval = GENERATE(std::size_t{1}, std::size_t{5});
    for (const char* text :
         {"tova@paper", "h2o@paper", "knorm@kvpress", "expected_attention@kvpress",
          "=cumulative_attn + 0.01 * rank:key_norm", "threshold@kvpress:t=-20,window=8(knorm@kvpress)"}) {
        INFO(text << ", interval " << interval);
        const Scorer scorer = make_scorer(text, host());
        const ScorerRun run(scorer);
        const double removed = removed_fraction_for_kept(n, 200);
        const auto cuts = whole(run, removed, 200, interval);
        CHECK(step_by_step(run, removed, 200, interval) == cuts);
        CHECK(std::ranges::count_if(cuts, [](const KeptSets& sets) { return !sets.empty(); }) > 3);
    }
}

TEST_CASE("a size above the prompt's leaves the prompt whole, and then holds so many") {
    const std::size_t n = captured().view.prompt;
    const Scorer scorer = make_scorer("knorm@kvpress", host());
    const ScorerRun run(scorer);
    const auto cuts = step_by_step(run, removed_fraction_for_kept(n, n + 4), n + 4, 1);
    CHECK(cuts[0][0].size() == n);
    for (std::size_t i = 1; i <= steps; ++i) CHECK((cuts[i].empty() ? 0 : cuts[i][0].size()) == (i <= 4 ? 0 : n + 4));
}

TEST_CASE("what a cache while decoding cannot give is refused by name") {
    const auto why = [](const char* text, const Shape& shape = {}) {
        return decoding_refusal(make_scorer(text, host()), shape);
    };
    CHECK(why("tova@paper").empty());
    CHECK_THAT(why("pyramidkv@kvpress"), ContainsSubstring("different numbers of tokens by layer or head"));
    CHECK_THAT(why("=reconstruction_attn"), ContainsSubstring("a second pass over a whole prompt"));
}
