// Which tokens a scorer keeps at a budget: counts, the cut, budgets of layers and heads, wrappers.
// SPDX-License-Identifier: MIT
#include "framework/evaluation/selection.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <random>

#include "framework/suite/trace.hpp"
#include "tests/support/catch.hpp"

using namespace evictlab;

namespace {

PluginHost& host() {
    static const std::vector<std::filesystem::path> folders{std::filesystem::path(EVICTLAB_TEST_PLUGINS) / "written",
                                                            std::filesystem::path(EVICTLAB_TEST_PLUGINS) / "loaded"};
    static PluginHost instance(folders);
    return instance;
}

// A layer of two heads whose columns all hold the same values: 0.1, 0.2, ... and ten times as much.
struct TestLayer {
    std::size_t tokens;
    std::vector<double> values;
    LayerInput input;

    explicit TestLayer(std::size_t n) : tokens(n), values(2 * n + row_padding) {
        for (std::size_t i = 0; i < n; ++i)
            values[i] = 0.1 * static_cast<double>(i + 1), values[n + i] = 10 * values[i];
        input.layer = 3;
        input.num_layers = 30;
        input.heads = 2;
        input.tokens = input.sequence_len = n;
        input.columns = [this](ColumnId) { return ColumnValues{values.data(), static_cast<std::ptrdiff_t>(tokens)}; };
    }
};

struct Selected {
    std::vector<double> scores;
    std::vector<std::size_t> kept;
};

Selected select(std::string_view text, const LayerInput& input, double removed) {
    const Scorer scorer = make_scorer(text, host());
    Selected selected;
    ScorerRun(scorer).select(input, removed, selected.scores, selected.kept);
    return selected;
}

std::string failure_of(std::string_view text, const LayerInput& input) {
    try {
        select(text, input, 0.5);
    } catch (const PluginError& error) {
        return error.what();
    }
    return "";
}

using Counts = std::vector<std::size_t>;

} // namespace

TEST_CASE("the kept count is kvpress's, in doubles") {
    CHECK(kept_count_for_removed(300, 0.9) == 29); // 1 - 0.9 is below 0.1
    CHECK(kept_count_for_removed(300, 0.8) == 59);
    CHECK(kept_count_for_removed(297, 0.25) == 222);
    CHECK(kept_count_for_removed(297, 0.5) == 148);
    CHECK(kept_count_for_removed(297, 0.75) == 74);
    CHECK(kept_count_for_removed(5, 0.99) == 1);
    CHECK(kept_count_for_removed(5, 1) == 0);
    CHECK(kept_count_for_removed(7, 0) == 7);
    for (std::size_t n = 1; n < 400; ++n)
        for (std::size_t kept = 1; kept <= n; ++kept)
            if (kept_count_for_removed(n, removed_fraction_for_kept(n, kept)) != kept) FAIL(n << " " << kept);
}

TEST_CASE("the cut keeps the highest scores, and of equals the lower position") {
    CHECK(top_k(std::vector<double>{1, 3, 2, 3, 3}, 2) == std::vector<std::uint32_t>{1, 3});
    CHECK(top_k(std::vector<double>{1, 1}, 5) == std::vector<std::uint32_t>{0, 1});
    CHECK(top_k(std::vector<double>{1, 1}, 0).empty());
    const double infinity = std::numeric_limits<double>::infinity();
    CHECK(top_k(std::vector<double>{-infinity, 0, infinity}, 2) == std::vector<std::uint32_t>{1, 2});
    std::mt19937 random(1);
    for (int round = 0; round < 200; ++round) {
        std::vector<double> scores(1 + random() % 60);
        for (double& score : scores) score = static_cast<double>(random() % 8);
        std::vector<std::uint32_t> order(scores.size());
        std::iota(order.begin(), order.end(), 0u);
        std::ranges::stable_sort(order, std::greater{}, [&](std::uint32_t i) { return scores[i]; });
        order.resize(random() % (scores.size() + 1));
        std::ranges::sort(order);
        CHECK(top_k(scores, order.size()) == order);
    }
}

TEST_CASE("plugins and formulas go the same way") {
    TestLayer layer(20);
    const auto plugin = select("knorm@kvpress", layer.input, 0.5), formula = select("=-key_norm", layer.input, 0.5);
    CHECK(plugin.scores == formula.scores);
    CHECK(plugin.kept == Counts{10, 10});
    CHECK(formula.kept == plugin.kept);
    CHECK(plugin.scores[20] == Approx(-1));
}

TEST_CASE("nothing removed runs nothing; all removed keeps nothing") {
    TestLayer layer(20);
    CHECK(select("failing_score", layer.input, 0).kept == Counts{20, 20});
    CHECK(select("knorm@kvpress", layer.input, 1).kept == Counts{0, 0});
}

TEST_CASE("a budgeted plugin is told the layer's budget, and others are not") {
    TestLayer layer(20);
    evl_tensors tensors{};
    tensors.dim = 64;
    layer.input.tensors = &tensors;
    const auto told = select("sdk_budgets", layer.input, 0.25); // K is 15, of which layer 3 gives up 3
    CHECK(told.scores[0] == 0.25);
    CHECK(told.scores[1] == 12);
    CHECK(told.scores[2] == 64);
    CHECK(told.kept == Counts{12, 12});
    const auto untold = select("sdk_budgets@heads", layer.input, 0.25);
    CHECK(untold.scores[0] == 0);
    CHECK(untold.kept == Counts{0, 15});
}

TEST_CASE("scores that do not depend on the budget are computed once") {
    TestLayer layer(20);
    const Scorer scorer = make_scorer("sdk_batch", host()); // counts its calls
    const ScorerRun run(scorer);
    CHECK_FALSE(run.concurrent());
    LayerSelection selection(run, layer.input);
    selection.select(0.25);
    const std::vector<double> first(selection.scores().begin(), selection.scores().end());
    selection.select(0.75);
    CHECK(std::ranges::equal(first, selection.scores()));
    CHECK(std::ranges::equal(selection.kept_per_head(), Counts{5, 5}));
}

TEST_CASE("a wrapper gets the scores and the layer budget of its base") {
    TestLayer layer(400);
    const auto base = select("pyramidkv@kvpress:window=8,beta=5", layer.input, 0.5);
    CHECK(base.kept[0] > 200); // an early layer
    const auto wrapped = select("adakv@kvpress(pyramidkv@kvpress:window=8,beta=5)", layer.input, 0.5);
    CHECK(wrapped.scores == base.scores);
    CHECK(wrapped.kept[0] + wrapped.kept[1] == 2 * base.kept[0]);
    CHECK(wrapped.kept[1] > wrapped.kept[0]); // whose scores are ten times as high
    const Scorer scorer = make_scorer("adakv(sdk_batch)", host());
    CHECK_FALSE(ScorerRun(scorer).concurrent());
}

TEST_CASE("budgets that are too large and scores that are no numbers are refused by name and place") {
    TestLayer layer(20);
    layer.input.layer = 0;
    CHECK_THAT(failure_of("sdk_budgets@heads:share=8", layer.input),
               ContainsSubstring("budget: layer 0: head 1: 80 of 20 tokens are to be kept"));
    CHECK(select("sdk_budgets:excess=8", layer.input, 0.5).kept == Counts{18, 18});
    CHECK_THROWS_AS(select("sdk_budgets:excess=8", layer.input, 0.25), PluginError);
    CHECK_THAT(failure_of("nan_score", layer.input), ContainsSubstring("NaN at layer 0, head 0, position 2"));
    CHECK_THAT(failure_of("snapkv@kvpress", layer.input), ContainsSubstring("needs more tokens than its window"));
}
