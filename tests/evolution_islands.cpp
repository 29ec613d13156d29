// Islands: whose slot is whose, how many places each has, who stays on each, and the ring in which the best move.
// SPDX-License-Identifier: MIT
#include "evolution/islands.hpp"

#include <algorithm>

#include "tests/support/catch.hpp"
#include "tests/support/made_search.hpp"

using namespace evictlab;
using namespace evictlab::evolution;
using test::ids_of;
using test::made_member;

namespace {

using Ids = std::vector<std::string>;

/// "id@island" of each, in order.
Ids places_of(const std::vector<Member>& members) {
    Ids places;
    for (const Member& member : members) places.push_back(member.id + "@" + std::to_string(member.island));
    return places;
}

/// Alike but for one constant in name, so that nobody but the first is on the front of error against size.
Member plain(const std::string& column, double train, std::uint32_t island) {
    return made_member(column, train, island);
}

} // namespace

TEST_CASE("slots go to the islands in turn") {
    for (std::uint32_t slot = 0; slot < 20; ++slot) CHECK(island_of_slot(slot, 1) == 0);
    CHECK(island_of_slot(0, 3) == 0);
    CHECK(island_of_slot(1, 3) == 1);
    CHECK(island_of_slot(2, 3) == 2);
    CHECK(island_of_slot(3, 3) == 0);
    CHECK(island_of_slot(7, 4) == 3);
}

TEST_CASE("the first islands have what is left over of the places") {
    const auto places = [](std::size_t population, std::uint32_t islands) {
        std::vector<std::size_t> all;
        for (std::uint32_t island = 0; island < islands; ++island)
            all.push_back(places_of_island(population, island, islands));
        return all;
    };
    CHECK(places(12, 3) == std::vector<std::size_t>{4, 4, 4});
    CHECK(places(13, 3) == std::vector<std::size_t>{5, 4, 4});
    CHECK(places(14, 3) == std::vector<std::size_t>{5, 5, 4});
    CHECK(places(7, 1) == std::vector<std::size_t>{7});
    CHECK(places(5, 4) == std::vector<std::size_t>{2, 1, 1, 1});
    CHECK(places(2, 3) == std::vector<std::size_t>{1, 1, 0});
}

TEST_CASE("each island's members compete for its own places alone") {
    const std::vector<Member> pool{plain("recent_attn", 0.1, 0),  plain("cumulative_attn", 0.2, 0),
                                   plain("key_norm", 0.3, 0),     plain("position", 0.9, 1),
                                   plain("relative_pos", 0.8, 1), plain("layer_ratio*recent_attn", 0.85, 1),
                                   plain("attn_entropy", 0.5, 2)};
    // Three places each of nine: nobody goes but nobody.
    CHECK(places_of(survivors_of_islands(pool, {9, 0, 9}, 3)) == Ids{"recent_attn@0", "cumulative_attn@0", "key_norm@0",
                                                                     "attn_entropy@2", "relative_pos@1",
                                                                     "layer_ratio*recent_attn@1", "position@1"});
    // Two, two and one of five: the worst of the first two islands go, whatever the others' errors are.
    CHECK(places_of(survivors_of_islands(pool, {5, 0, 9}, 3)) ==
          Ids{"recent_attn@0", "cumulative_attn@0", "attn_entropy@2", "relative_pos@1", "layer_ratio*recent_attn@1"});
    // The price counts within islands and in the order of all.
    CHECK(places_of(survivors_of_islands(pool, {5, 0.03, 9}, 3)) ==
          Ids{"recent_attn@0", "cumulative_attn@0", "attn_entropy@2", "relative_pos@1", "position@1"});
    // With one island, islands are looked at no more.
    CHECK(places_of(survivors_of_islands(pool, {3, 0, 9}, 1)) ==
          Ids{"recent_attn@0", "cumulative_attn@0", "key_norm@0"});
}

TEST_CASE("the cheapest of each island goes on to the next, the last one's to the first") {
    std::vector<Member> population{plain("recent_attn", 0.1, 2), plain("key_norm", 0.2, 0), plain("position", 0.3, 0),
                                   plain("layer_ratio", 0.4, 2), plain("is_sink", 0.5, 1)};
    const Ids before = places_of(population);
    migrate(population, 3);
    Ids after = before;
    for (const char* arrived : {"key_norm@1", "is_sink@2", "recent_attn@0"}) after.emplace_back(arrived);
    CHECK(places_of(population) == after);
    CHECK(population[5].train.average == 0.2);
    CHECK(population[5].genome.text() == population[1].genome.text());
}

TEST_CASE("an island that died out sends nobody, and is settled anew") {
    std::vector<Member> population{plain("recent_attn", 0.1, 0), plain("key_norm", 0.2, 2)};
    migrate(population, 4);
    CHECK(places_of(population) == Ids{"recent_attn@0", "key_norm@2", "recent_attn@1", "key_norm@3"});
}
