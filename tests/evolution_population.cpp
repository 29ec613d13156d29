// Who survives, who breeds and who is last, on populations made by hand; the rules beside them are slow and plain.
// SPDX-License-Identifier: MIT
#include "evolution/population.hpp"

#include <algorithm>
#include <map>
#include <set>

#include "tests/support/catch.hpp"
#include "tests/support/made_search.hpp"

using namespace evictlab;
using namespace evictlab::evolution;
using test::ids_of;
using test::made_member;

namespace {

using Ids = std::vector<std::string>;

/// Numbers in the order of words, by their first eight letters.
std::uint64_t in_order_of(const std::string& word) {
    std::uint64_t number = 0;
    for (std::size_t i = 0; i < 8; ++i)
        number = number << 8U | (i < word.size() ? static_cast<unsigned char>(word[i]) : 0U);
    return number;
}

/// As large as is wanted, and of a structure of its own for every size and name.
Member sized(std::size_t nodes, double train, const std::string& id, const std::string& hash = "") {
    std::string text = "recent_attn";
    for (std::size_t size = 1; size + 1 < nodes; size += 2) text += "*key_norm";
    if (nodes % 2 == 0) text = "tanh(" + text + ")";
    Member member = made_member("recent_attn", train);
    member.genome = Genome::saved(formula::parse(text), in_order_of(hash.empty() ? id : hash));
    member.id = id;
    member.skeleton = std::hash<std::string>{}(id);
    REQUIRE(member.genome.size() == nodes);
    return member;
}

/// By definition: nobody is at least as small and better, or smaller and as good.
std::set<std::string> not_dominated(const std::vector<Member>& members) {
    std::set<std::string> front;
    for (const Member& one : members)
        if (std::ranges::none_of(members, [&](const Member& other) {
                const bool no_worse =
                    other.genome.size() <= one.genome.size() && other.train.average <= one.train.average;
                return no_worse && (other.genome.size() < one.genome.size() || other.train.average < one.train.average);
            }))
            front.insert(one.id);
    return front;
}

/// The rule of survivors() in words, slowly, for members whose errors and hashes differ.
Ids slow_survivors(std::vector<Member> pool, const SurvivalRule& rule) {
    std::ranges::sort(pool, {}, [&](const Member& m) {
        return m.train.average + rule.node_price * static_cast<double>(m.genome.size());
    });
    const std::set<std::string> front = not_dominated(pool);
    std::size_t free = rule.population > front.size() ? rule.population - front.size() : 0;
    std::map<std::uint64_t, std::size_t> alike;
    Ids next;
    for (const Member& member : pool) {
        if (!front.contains(member.id)) {
            if (free == 0 || alike[member.skeleton] >= rule.same_skeleton) continue;
            --free;
        }
        ++alike[member.skeleton];
        next.push_back(member.id);
    }
    return next;
}

} // namespace

TEST_CASE("a cost is the train error with a price on every node") {
    CHECK(cost(sized(1, 0.5, "one"), 0.01) == Approx(0.51));
    CHECK(cost(sized(5, 0.5, "five"), 0.01) == Approx(0.55));
    CHECK(cost(sized(5, 0.5, "free"), 0) == 0.5);
    Member tuned = made_member("recent_attn", 0.5);
    tuned.genome = test::made_parameters("a plugin", {1, 2, 3}, 2);
    CHECK(tuned.genome.size() == 2);
    CHECK(cost(tuned, 0.01) == Approx(0.52));
}

TEST_CASE("members are sorted by cost, then by hash, then by island") {
    std::vector<Member> members{sized(9, 0.50, "large"), sized(1, 0.55, "small"), sized(1, 0.7, "b", "b"),
                                sized(1, 0.7, "a", "a"), sized(1, 0.7, "b on 1", "b")};
    members.back().island = 1;
    std::swap(members.back(), members[2]);
    SECTION("without a price") {
        sort_by_cost(members, 0);
        CHECK(ids_of(members) == Ids{"large", "small", "a", "b", "b on 1"});
    }
    SECTION("with one that is less than the difference") {
        sort_by_cost(members, 0.006); // 0.554 and 0.556
        CHECK(ids_of(members) == Ids{"large", "small", "a", "b", "b on 1"});
    }
    SECTION("with one that is more") {
        sort_by_cost(members, 0.007); // 0.563 and 0.557
        CHECK(ids_of(members) == Ids{"small", "large", "a", "b", "b on 1"});
    }
}

TEST_CASE("small formulas survive though better ones would fill all places") {
    // Six good large ones for three places; the small ones are worse and worse, but no smaller one is as good.
    std::vector<Member> pool{sized(9, 0.10, "best"),
                             sized(9, 0.11, "second"),
                             sized(9, 0.12, "third"),
                             sized(9, 0.13, "fourth"),
                             sized(5, 0.50, "small"),
                             sized(1, 0.90, "smallest"),
                             sized(5, 0.60, "small and worse"),
                             sized(3, 0.95, "larger and worse than the smallest")};
    CHECK(ids_of(survivors(pool, {3, 0, 9})) == Ids{"best", "small", "smallest"});
    CHECK(ids_of(survivors(pool, {4, 0, 9})) == Ids{"best", "second", "small", "smallest"});
    CHECK(ids_of(survivors(pool, {5, 0, 9})) == Ids{"best", "second", "third", "small", "smallest"});
    CHECK(ids_of(survivors(pool, {2, 0, 9})) == Ids{"best", "small", "smallest"}); // the front always stays
    CHECK(ids_of(survivors(pool, {0, 0, 9})) == Ids{"best", "small", "smallest"});
    CHECK(survivors(pool, {8, 0, 9}).size() == 8);
    CHECK(survivors(pool, {20, 0, 9}).size() == 8);
}

TEST_CASE("survivors are those of the rule by definition, whatever the order of the pool") {
    Rng rng(11, 0, 0, Purpose::bootstrap);
    for (int round = 0; round < 60; ++round) {
        std::vector<Member> pool;
        const std::size_t count = 1 + rng.below(24);
        for (std::size_t i = 0; i < count; ++i) {
            pool.push_back(sized(1 + rng.below(9), rng.uniform(), "m" + std::to_string(i)));
            pool.back().skeleton = rng.below(5);
        }
        const SurvivalRule rule{rng.below(20), round % 3 == 0 ? 0.0 : 0.05, 1 + rng.below(4)};
        const Ids expected = slow_survivors(pool, rule);
        CHECK(ids_of(survivors(pool, rule)) == expected);
        std::ranges::reverse(pool);
        CHECK(ids_of(survivors(pool, rule)) == expected);
    }
}

TEST_CASE("of members with the same errors at every retention the cheapest alone stays") {
    std::vector<Member> pool{sized(5, 0.5, "large"), sized(3, 0.5, "small"), sized(7, 0.5, "other figures")};
    pool[2].train.by_retention = {0.4, 0.6};
    CHECK(ids_of(survivors(pool, {9, 0.001, 9})) == Ids{"small", "other figures"});
    pool.push_back(sized(9, 0.5, "other figures, too"));
    pool.back().train.by_retention = {0.4, 0.6};
    CHECK(ids_of(survivors(pool, {9, 0.001, 9})) == Ids{"small", "other figures"});
    pool.back().train.by_retention = {0.6, 0.4};
    CHECK(survivors(pool, {9, 0.001, 9}).size() == 3);
}

TEST_CASE("so many at most differ in their constants only, but for those that no other beats") {
    std::vector<Member> pool;
    for (int i = 0; i < 6; ++i) pool.push_back(sized(5, 0.1 + 0.01 * i, "tuned " + std::to_string(i)));
    for (Member& member : pool) member.skeleton = 7;
    pool.push_back(sized(5, 0.5, "another"));
    pool.push_back(sized(3, 0.6, "small"));
    pool.back().skeleton = 7;
    CHECK(ids_of(survivors(pool, {9, 0, 2})) == Ids{"tuned 0", "tuned 1", "another", "small"});
    CHECK(ids_of(survivors(pool, {9, 0, 3})) == Ids{"tuned 0", "tuned 1", "tuned 2", "another", "small"});
    CHECK(ids_of(survivors(pool, {9, 0, 1})) == Ids{"tuned 0", "another", "small"});
}

TEST_CASE("the last place is the costliest member that another one beats") {
    const std::vector<Member> members{sized(5, 0.1, "best"), sized(5, 0.2, "second"), sized(7, 0.3, "third"),
                                      sized(1, 0.9, "smallest")};
    const auto pool = test::pointers_to(members);
    REQUIRE(last_place(pool, 4));
    CHECK(last_place(pool, 4)->id == "third");
    CHECK(last_place(std::span(pool).first(2), 2)->id == "second");
    // Half of the places are taken, or just not.
    CHECK(last_place(pool, 8)->id == "third");
    CHECK(last_place(pool, 9) == nullptr);
    CHECK(last_place(pool, 7)->id == "third");
    // All are on the front.
    const std::vector<Member> front{sized(5, 0.1, "best"), sized(1, 0.9, "smallest")};
    CHECK(last_place(test::pointers_to(front), 2) == nullptr);
    CHECK(last_place({}, 0) == nullptr);
}

TEST_CASE("a member that is as good and as small as another is not on the front beside it") {
    const std::vector<Member> members{sized(5, 0.1, "first"), sized(5, 0.1, "as good")};
    CHECK(last_place(test::pointers_to(members), 2)->id == "as good");
    const std::vector<Member> larger{sized(5, 0.1, "first"), sized(7, 0.1, "as good but larger")};
    CHECK(last_place(test::pointers_to(larger), 2)->id == "as good but larger");
    const std::vector<Member> infinite{sized(5, std::numeric_limits<double>::infinity(), "nothing worth")};
    CHECK(last_place(test::pointers_to(infinite), 1)->id == "nothing worth");
}

TEST_CASE("a tournament is the best of so many draws of the stream") {
    for (const int rounds : {1, 2, 3, 7})
        for (std::uint32_t slot = 0; slot < 100; ++slot) {
            Rng rng(5, 1, slot, Purpose::variation), same = rng;
            std::vector<std::size_t> drawn;
            for (int i = 0; i < rounds; ++i) drawn.push_back(same.below(50));
            CHECK(tournament(50, rng, rounds) == *std::ranges::min_element(drawn));
            CHECK(rng.next() == same.next()); // and not a draw more
        }
    Rng rng(5, 1, 0, Purpose::variation);
    CHECK(tournament(1, rng, 3) == 0);
    double sum = 0;
    for (int i = 0; i < 4000; ++i) sum += static_cast<double>(tournament(100, rng, 3));
    CHECK(sum / 4000 == Approx(24.25).margin(2)); // the mean of the least of three
}

TEST_CASE("formulas that differ in constants only have one skeleton") {
    const auto skeleton = [](const char* text) { return skeleton_of(Genome::verbatim(formula::parse(text))); };
    CHECK(skeleton("2*recent_attn + 1") == skeleton("3*recent_attn + 7"));
    std::set<std::uint64_t> different;
    for (const char* text : {"2*recent_attn + 1", "2*key_norm + 1", "2*recent_attn - 1", "recent_attn + 1",
                             "1 + 2*recent_attn", "recent_attn - key_norm", "key_norm - recent_attn", "recent_attn",
                             "key_norm", "tanh(recent_attn)", "exp(recent_attn)", "keep", "drop", "1"})
        CHECK(different.insert(skeleton(text)).second);
    CHECK(skeleton_of(test::made_parameters("a plugin", {1}, 1)) == 255); // every set of parameters is its own
}
