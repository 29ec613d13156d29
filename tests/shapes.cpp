// The grain at which an engine evicts: scores joined, made into blocks, cut with protected tokens. By hand, and against
// the definition of docs/shapes.md taken literally.
// SPDX-License-Identifier: MIT
#include <algorithm>
#include <limits>
#include <random>

#include "base/option_error.hpp"
#include "framework/cut/join.hpp"
#include "framework/cut/shaped_cut.hpp"
#include "framework/cut/top_k.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/slow_shapes.hpp"

using namespace evictlab;
using namespace evictlab::test;

namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();
using Row = std::vector<double>;
using Set = std::vector<std::uint32_t>;

Shape blocks_of(std::size_t block, BlockScore score = BlockScore::mean) {
    Shape shape;
    shape.block = block;
    shape.block_score = score;
    return shape;
}

Shape protecting(std::size_t sinks, std::size_t recent, std::size_t block = 1) {
    Shape shape = blocks_of(block);
    shape.sinks = sinks;
    shape.recent = recent;
    return shape;
}

/// Scores of few values, so that many are equal, and now and then an infinite one.
Row random_row(std::size_t n, std::mt19937& random) {
    Row row;
    for (std::size_t i = 0; i < n; ++i) {
        const auto draw = random() % 40;
        row.push_back(draw == 0 ? infinity : draw == 1 ? -infinity : static_cast<double>(random() % 7) * 0.3 - 0.7);
    }
    return row;
}

} // namespace

TEST_CASE("scores are joined by mean, maximum, rank or share") {
    const std::vector<Row> rows{{1, 2, 3, 100}, {5, 4, 4, -2}};
    CHECK(joined(rows, Join::mean) == Row{3, 3, 3.5, 49});
    CHECK(joined(rows, Join::max) == Row{5, 4, 4, 100});
    CHECK(joined(rows, Join::rank)[0] == Approx(0.5));
    CHECK(joined(rows, Join::rank)[1] == Approx((1.0 / 3 + 0.5) / 2));
    CHECK(joined(rows, Join::rank)[3] == Approx(0.5));
    CHECK(joined(rows, Join::share)[0] == Approx((1.0 / 106 + 5.0 / 15) / 2));
    CHECK(joined(rows, Join::share)[3] == Approx((100.0 / 106 - 2.0 / 15) / 2));
    CHECK(joined(std::vector<Row>{{0, 0}, {1, 3}}, Join::share) == Row{0.125, 0.375});
    const std::vector<Row> ends{{infinity, -infinity, 1}, {-infinity, 0, 1}};
    for (const Join join : {Join::mean, Join::rank, Join::share})
        CHECK((joined(ends, join)[0] == infinity && joined(ends, join)[1] == -infinity));
    CHECK((joined(ends, Join::max)[0] == infinity && joined(ends, Join::max)[1] == 0));
    const double most = std::numeric_limits<double>::max();
    CHECK(joined(std::vector<Row>{{most, 1}, {most, 1}}, Join::mean)[0] < infinity);
    CHECK(joined(std::vector<Row>{{most, most, 0}}, Join::share) == Row{0.5, 0.5, 0});
    CHECK_THROWS_WITH(join_named("means"), ContainsSubstring("did you mean 'mean'?"));
}

TEST_CASE("joining one row leaves its order, and heads of other scales weigh alike by rank and share") {
    const Row row{0.3, -2, 7, 7, 0};
    for (const Join join : {Join::mean, Join::max, Join::rank, Join::share})
        for (std::size_t kept = 1; kept <= row.size(); ++kept)
            CHECK(top_k(joined(std::vector<Row>{row}, join), kept) == top_k(row, kept));
    const std::vector<Row> plain{{4, 1, 3, 2}, {1, 2, 3, 4}}, scaled{{400, 100, 300, 200}, {1, 2, 3, 4}};
    for (const Join join : {Join::rank, Join::share}) CHECK(joined(plain, join) == joined(scaled, join));
}

TEST_CASE("K is rounded down to whole blocks, and one block stays at least") {
    CHECK(kept_blocks(100, 47, blocks_of(16)) == 2);
    CHECK(kept_blocks(100, 15, blocks_of(16)) == 1);
    CHECK(kept_blocks(100, 100, blocks_of(16)) == 7);
    CHECK(kept_blocks(100, 99, blocks_of(16)) == 6);
    CHECK(kept_blocks(5, 2, blocks_of(16)) == 1); // a prompt that is shorter than a block
    CHECK(kept_blocks(100, 0, blocks_of(16)) == 0);
    const Row scores{0, 1, 9, 0, 3, 3, 8};                         // blocks of 3: mean 10/3, 2, 8
    CHECK(shaped_cut(scores, 3, blocks_of(3)) == Set{6});          // the last block has one token
    CHECK(shaped_cut(scores, 6, blocks_of(3)) == Set{0, 1, 2, 6}); // two blocks, four tokens
    CHECK(shaped_cut(scores, 1, blocks_of(3)) == Set{6});          // less than a block: one
    CHECK(shaped_cut(scores, 7, blocks_of(3)).size() == 7);        // everything
    CHECK(shaped_cut(Row{3, 1}, 1, blocks_of(8)) == Set{0, 1});    // the only block
    CHECK(shaped_cut(scores, 0, blocks_of(3)).empty());
    CHECK(shaped_cut(scores, 3, blocks_of(3, BlockScore::max)) == Set{0, 1, 2});
}

TEST_CASE("of equal blocks the lower one stays, and infinite scores decide for their block") {
    CHECK(shaped_cut(Row{1, 1, 2, 0, 0, 2}, 2, blocks_of(2)) == Set{0, 1});
    CHECK(shaped_cut(Row{1, 1, 2, 0, 0, 2}, 4, blocks_of(2)) == Set{0, 1, 2, 3});
    CHECK(shaped_cut(Row{9, 9, -infinity, infinity, 8, 8}, 2, blocks_of(2)) == Set{2, 3});
    CHECK(shaped_cut(Row{9, -infinity, 0, 0}, 2, blocks_of(2)) == Set{2, 3});
    CHECK(shaped_cut(Row{9, -infinity, 0, 0}, 2, blocks_of(2, BlockScore::max)) == Set{0, 1});
}

TEST_CASE("protected tokens stay before all others, also before such that say always") {
    const Row scores{0, 0, 7, 8, infinity, 9, 0, 0};
    CHECK(shaped_cut(scores, 4, protecting(2, 1)) == Set{0, 1, 4, 7});
    CHECK(shaped_cut(scores, 3, protecting(2, 1)) == Set{0, 1, 7});
    CHECK(shaped_cut(scores, 6, protecting(1, 1, 2)) == Set{0, 1, 4, 5, 6, 7}); // whole blocks of theirs
    CHECK(shaped_cut(scores, 8, protecting(5, 5)).size() == 8);
    CHECK_THROWS_WITH(shaped_cut(scores, 2, protecting(2, 1)),
                      ContainsSubstring("the first 2 and the last 1 of 8 tokens are to stay in any case, and only 2 "
                                        "tokens are kept"));
    CHECK_THROWS_WITH(shaped_cut(scores, 5, protecting(1, 3, 2)),
                      ContainsSubstring("which lie in 3 blocks of 2, are to stay in any case, and only 2 blocks are "
                                        "kept"));
}

TEST_CASE("heads share a set by layer, and all heads of all layers by model") {
    const Row layer{1, 0, 5, 0, /**/ 1, 4, 0, 0};
    const std::vector<std::size_t> two{2, 2};
    Shape shape;
    shape.join = Join::mean;
    CHECK(layer_cut(layer, two, shape) == KeptSets{{0, 2}, {0, 1}});
    shape.granularity = Granularity::layer;
    CHECK(layer_cut(layer, two, shape) == KeptSets{{1, 2}, {1, 2}});
    shape.join = Join::rank; // means of ranks: (2 + 2) / 6, (0.5 + 3) / 6, (3 + 0.5) / 6, (0.5 + 0.5) / 6
    CHECK(layer_cut(layer, two, shape) == KeptSets{{0, 1}, {0, 1}});
    shape.join = Join::mean;
    const Row other{0, 0, 0, 9, /**/ 0, 0, 0, 9};
    const std::vector<std::span<const double>> both{layer, other};
    CHECK(model_cut(both, 4, 2, shape) == Set{2, 3});
    shape.join = Join::max; // 1, 4, 5, 9
    CHECK(model_cut(both, 4, 3, shape) == Set{1, 2, 3});
}

TEST_CASE("rows that share a budget are cut by their own blocks") {
    const Row rows{9, 9, 1, 1, 8, /**/ 7, 7, 0, 0, 9}; // n = 5, blocks of 2
    CHECK(shaped_cut_together(rows, 5, 2, blocks_of(2)) == KeptSets{{0, 1}, {4}});
    CHECK(shaped_cut_together(rows, 5, 3, Shape{}) == KeptSets{{0, 1, 4}, {0, 1, 4}});
    CHECK(shaped_cut_together(rows, 5, 2, protecting(0, 1)) == KeptSets{{0, 1, 4}, {4}});
}

TEST_CASE("any cut is that of the definition") {
    std::mt19937 random(3);
    for (int round = 0; round < 4000; ++round) {
        const std::size_t n = 1 + random() % 40, heads = 1 + random() % 3;
        Row scores;
        for (std::size_t a = 0; a < heads; ++a) {
            const Row row = random_row(n, random);
            scores.insert(scores.end(), row.begin(), row.end());
        }
        Shape shape = protecting(random() % 4, random() % 5, 1 + random() % 9);
        shape.granularity = random() % 2 ? Granularity::head : Granularity::layer;
        shape.join = static_cast<Join>(random() % 4);
        shape.block_score = random() % 2 ? BlockScore::mean : BlockScore::max;
        const std::size_t kept = random() % (n + 2);
        INFO("round " << round << ", " << in_words(shape) << ", " << kept << " of " << n);
        const auto expected = slow_layer_cut(scores, heads, kept, shape);
        if (expected)
            REQUIRE(layer_cut(scores, std::vector<std::size_t>(heads, kept), shape) == *expected);
        else
            REQUIRE_THROWS_AS(layer_cut(scores, std::vector<std::size_t>(heads, kept), shape), UsageError);
    }
}

TEST_CASE("blocks of one token and layers of one head are no shape at all") {
    std::mt19937 random(4);
    for (int round = 0; round < 300; ++round) {
        const Row row = random_row(1 + random() % 30, random);
        const std::vector<std::size_t> kept{1 + random() % row.size()};
        Shape layer;
        layer.granularity = Granularity::layer;
        layer.join = static_cast<Join>(random() % 4);
        CHECK(layer_cut(row, kept, blocks_of(1)) == KeptSets{top_k(row, kept[0])});
        CHECK(layer_cut(row, kept, layer) == KeptSets{top_k(row, kept[0])});
    }
}

TEST_CASE("a shape says in words what it is, and refuses what it cannot be") {
    CHECK(in_words({}) == "a set for each KV head");
    Shape shape = protecting(4, 32, 16);
    shape.granularity = Granularity::model;
    shape.join = Join::rank;
    CHECK(in_words(shape) ==
          "one set for all layers and heads, scores joined by rank; blocks of 16 tokens; the first 4 "
          "and the last 32 tokens stay");
    CHECK_FALSE(shape.usual());
    CHECK(Shape{}.usual());
    CHECK_THROWS_WITH(granularity_named("heads"), ContainsSubstring("did you mean 'head'?"));
    CHECK_THROWS_AS(block_score_named("sum"), OptionError);
    CHECK_THROWS_WITH(check_shape(blocks_of(0)), "block is 0, but must be from 1 to 65536");
}
