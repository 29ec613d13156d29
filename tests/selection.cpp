// Which tokens a scorer keeps at a budget: counts, the cut, budgets of layers and heads, wrappers.
// SPDX-License-Identifier: MIT
#include "framework/scoring/scorer_run.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <random>

#include "framework/cut/top_k.hpp"
#include "framework/suite/trace.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/made_columns.hpp"

using namespace evictlab;
using test::MadeColumns;

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
    MadeColumns columns;
    LayerInput input;

    explicit TestLayer(std::size_t n) : tokens(n), values(2 * n + row_padding) {
        for (std::size_t i = 0; i < n; ++i)
            values[i] = 0.1 * static_cast<double>(i + 1), values[n + i] = 10 * values[i];
        input.layer = 3;
        input.num_layers = 30;
        input.heads = 2;
        input.tokens = input.sequence_len = n;
        columns.of = [this](ColumnId) { return ColumnValues{values.data(), static_cast<std::ptrdiff_t>(tokens)}; };
        input.columns = &columns;
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

TEST_CASE("a wrapper gets the scores of its base, and its layer budget where it goes by that") {
    TestLayer layer(400);
    const auto base = select("pyramidkv@paper", layer.input, 0.5);
    CHECK(base.kept[0] > 200); // an early layer
    const auto chunks = select("chunkkv@paper(pyramidkv@paper)", layer.input, 0.5);
    CHECK(chunks.kept[0] > base.kept[0] - 10); // whole chunks of 10, and the window
    const auto shared = select("adakv@paper:window=8(pyramidkv@paper)", layer.input, 0.5);
    CHECK(std::abs(double(shared.kept[0] + shared.kept[1]) - 2 * double(base.kept[0])) <= 4); // it rounds
    CHECK(shared.kept[1] > shared.kept[0]); // whose scores are ten times as high
    const Scorer scorer = make_scorer("adakv(sdk_batch)", host());
    CHECK_FALSE(ScorerRun(scorer).concurrent());
}

TEST_CASE("kvpress's wrappers keep K in every layer, whatever the budgets of the press inside") {
    TestLayer layer(400);
    layer.input.num_layers = 4;
    for (const char* inside : {"pyramidkv@kvpress:window=8,beta=5", "pyramidkv@paper", "knorm@paper:skip_layers=1",
                               "sdk_budgets:excess=3", "criticalkv@kvpress(pyramidkv@kvpress:window=8)"})
        for (const char* wrapper :
             {"adakv@kvpress", "criticalkv@kvpress", "criticaladakv@kvpress", "criticalkv@paper", "criticaladakv@paper",
              "adakv@kvpress(criticalkv@kvpress", "chunkkv@kvpress:chunk_length=1"}) {
            std::string name = std::string(wrapper) + "(" + inside + ")";
            if (std::ranges::count(name, '(') > std::ranges::count(name, ')')) name += ")";
            for (layer.input.layer = 0; layer.input.layer < 4; ++layer.input.layer)
                for (const double removed : {0.3, 0.5, 0.81}) {
                    INFO(name << ", layer " << layer.input.layer << ", removed " << removed);
                    const auto kept = select(name, layer.input, removed).kept;
                    CHECK(kept[0] + kept[1] == 2 * kept_count_for_removed(400, removed));
                }
        }
    CHECK_FALSE(make_scorer("criticalkv@kvpress(pyramidkv@kvpress)", host()).allocates());
    CHECK(make_scorer("chunkkv@paper(pyramidkv@kvpress)", host()).allocates());
}

TEST_CASE("no wrapper goes over a scorer with head budgets, which would be lost") {
    for (const char* text :
         {"adakv@kvpress(chunkkv@kvpress(snapkv@kvpress))", "criticalkv@kvpress(adakv@kvpress(h2o))",
          "chunkkv@paper(adakv@paper(snapkv@paper))", "adakv(criticaladakv(h2o))", "criticalkv(sdk_budgets@heads)"}) {
        INFO(text);
        CHECK_THROWS_WITH(make_scorer(text, host()),
                          ContainsSubstring("cannot wrap") && ContainsSubstring("how many tokens each head keeps"));
    }
}

namespace {

/// Values of any kind for every head: numbers, many always kept, many evicted first, ties.
std::vector<double> awkward_scores(std::size_t count, std::mt19937& random) {
    const double infinity = std::numeric_limits<double>::infinity();
    const std::size_t kept = random() % 4 * 30, dropped = random() % 4 * 30, ties = random() % 2 * 40;
    std::vector<double> scores(count);
    for (double& score : scores) {
        const std::size_t kind = random() % 100;
        score = kind < kept                    ? infinity
                : kind < kept + dropped        ? -infinity
                : kind < kept + dropped + ties ? 0.5
                                               : double(random()) / double(random.max()) - 0.3;
    }
    return scores;
}

} // namespace

TEST_CASE("every head is sure of its share, whatever the base keeps always or evicts first") {
    std::mt19937 random(4);
    for (int round = 0; round < 400; ++round) {
        const std::size_t heads = 1 + random() % 5, n = 5 + random() % 60;
        std::vector<double> scores = awkward_scores(heads * n, random);
        if (round % 3 == 0) std::fill_n(scores.begin(), n, std::numeric_limits<double>::infinity());
        scores.resize(heads * n + row_padding);
        LayerInput input;
        input.heads = heads;
        input.tokens = input.sequence_len = n;
        MadeColumns columns;
        columns.of = [&](ColumnId) { return ColumnValues{scores.data(), static_cast<std::ptrdiff_t>(n)}; };
        input.columns = &columns;
        const double removed = double(1 + random() % 19) / 20, alpha = double(random() % 11) / 10;
        const std::size_t kept = kept_count_for_removed(n, removed);
        const std::string base = "(=value_norm)"; // any column will do: all are the scores
        const auto sure = std::max<std::size_t>(static_cast<std::size_t>(double(kept) * alpha), alpha > 0);
        for (const char* wrapper : {"adakv@kvpress", "criticaladakv@kvpress"}) {
            const auto selected = select(fmt::format("{}:alpha={}{}", wrapper, alpha, base), input, removed);
            INFO(wrapper << ", " << heads << " heads, " << n << " tokens, K " << kept << ", alpha " << alpha);
            CHECK(std::accumulate(selected.kept.begin(), selected.kept.end(), std::size_t{0}) == heads * kept);
            for (std::size_t h = 0; h < heads; ++h) {
                CHECK(selected.kept[h] >= std::min(sure, n));
                CHECK(selected.kept[h] <= n);
                // What a head gives up ranks no higher than what another one keeps beyond its share.
                const auto head = std::span(scores).subspan(h * n, n);
                std::vector<double> ranked(head.begin(), head.end());
                std::ranges::sort(ranked, std::greater{});
                for (std::size_t other = 0; other < heads; ++other) {
                    if (selected.kept[other] <= sure || selected.kept[h] == n) continue;
                    const auto others = std::span(scores).subspan(other * n, n);
                    std::vector<double> theirs(others.begin(), others.end());
                    std::ranges::sort(theirs, std::greater{});
                    CHECK(theirs[selected.kept[other] - 1] >= ranked[selected.kept[h]]);
                }
            }
            CHECK(select(fmt::format("{}:alpha={}{}", wrapper, alpha, base), input, removed).kept == selected.kept);
        }
        const auto paper = select("adakv@paper:window=2,alpha=0.5,normalize=" + std::to_string(round % 2) + base, input,
                                  removed); // rounds, so that the sum drifts
        for (std::size_t h = 0; h < heads; ++h) CHECK(paper.kept[h] >= (kept > 2 ? (kept - 2) / 2 + 2 : kept));
        for (const char* chunks : {"chunkkv@paper:chunk_length=3,window=2", "chunkkv@kvpress:chunk_length=3"})
            CHECK(select(chunks + base, input, removed).kept[0] <= n);
    }
}

TEST_CASE("a wrapper's own window stays, however many tokens its base always keeps") {
    TestLayer layer(40);
    for (const char* wrapper : {"adakv@paper:window=6", "chunkkv@paper:chunk_length=4,window=6"}) {
        const auto selected = select(std::string(wrapper) + "(=if(1, keep, key_norm))", layer.input, 0.5);
        for (std::size_t h = 0; h < 2; ++h) {
            const auto kept = top_k(std::span(selected.scores).subspan(h * 40, 40), selected.kept[h]);
            INFO(wrapper << ", head " << h);
            REQUIRE(kept.size() >= 6);
            CHECK(kept[kept.size() - 6] == 34);
        }
    }
}

TEST_CASE("CriticalKV leaves what its base always keeps or evicts first, even where a value adds nothing") {
    TestLayer layer(20);
    std::vector<double> zeros(40 + row_padding);
    const ColumnId norm = columns::intern("wov_norm");
    layer.columns.of = [&](ColumnId id) { return ColumnValues{id == norm ? zeros.data() : layer.values.data(), 20}; };
    for (const char* wrapper : {"criticalkv@kvpress", "criticaladakv@kvpress"}) {
        const auto selected =
            select(std::string(wrapper) + "(=if(key_norm < 0.35, keep, if(key_norm > 1.85, drop, key_norm)))",
                   layer.input, 0.5);
        CHECK(top_k(std::span(selected.scores).first(20), 3) == std::vector<std::uint32_t>{0, 1, 2});
        CHECK(selected.scores[19] == -std::numeric_limits<double>::infinity());
    }
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
