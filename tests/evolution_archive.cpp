// The archive of the best of each kind: which kind a formula is of, and which of two of one kind is kept.
// SPDX-License-Identifier: MIT
#include "evolution/archive.hpp"

#include <algorithm>
#include <set>

#include "tests/support/catch.hpp"
#include "tests/support/made_search.hpp"

using namespace evictlab;
using namespace evictlab::evolution;
using test::ids_of;
using test::made_member;

namespace {

std::uint32_t cell(const std::string& text) { return archive_cell(formula::parse(text)); }

/// recent_attn under so many tanh.
std::string nested(int nodes) {
    std::string text = "recent_attn";
    for (int i = 1; i < nodes; ++i) text = "tanh(" + text + ")";
    return text;
}

} // namespace

TEST_CASE("a formula's family is what its columns tell of, and its cell the set of its families with its size") {
    // The docs' families in order: row or layer; keys and values; the token's own; a window; since the beginning.
    for (const char* text : {"sequence_len", "layer_ratio", "num_layers", "layer_idx"}) CHECK(cell(text) == 4 * 1);
    for (const char* text : {"value_norm", "rank:wov_norm", "key_cos"}) CHECK(cell(text) == 4 * 2);
    for (const char* text : {"position", "relative_pos", "token_type", "is_sink", "key_norm"})
        CHECK(cell(text) == 4 * 4);
    for (const char* text : {"recent_attn", "window_attn:16", "window_max:64", "last_attn", "last_attn:all"})
        CHECK(cell(text) == 4 * 8);
    for (const char* text : {"cumulative_attn", "attn_entropy"}) CHECK(cell(text) == 4 * 16);
    CHECK(cell("recent_attn + cumulative_attn") == 4 * 24);
    CHECK(cell("recent_attn + window_attn:16") == 4 * 8);
    CHECK(cell("recent_attn + cumulative_attn + position + value_norm") == 4 * 30);
    CHECK(cell("(recent_attn + cumulative_attn)*layer_ratio + position + value_norm") == 4 * 31 + 1);
    CHECK(cell("1") == 0);
    CHECK(archive_cells == 128);
}

TEST_CASE("sizes are up to 7, 15 and 31 nodes, or more") {
    CHECK(cell(nested(1)) % 4 == 0);
    CHECK(cell(nested(7)) % 4 == 0);
    CHECK(cell(nested(8)) % 4 == 1);
    CHECK(cell(nested(15)) % 4 == 1);
    CHECK(cell(nested(16)) % 4 == 2);
    CHECK(cell(nested(31)) % 4 == 2);
    CHECK(cell(nested(32)) % 4 == 3);
    CHECK(cell(nested(200)) % 4 == 3);
    CHECK(cell(nested(200)) == 4 * 8 + 3);
}

TEST_CASE("of one kind the lower train error is kept, of equals the smaller, of these the lower hash") {
    const Member first = made_member("2*recent_attn", 0.5);
    const auto kept = [&](const Member& other) {
        std::set<std::string> ids;
        for (const bool swapped : {false, true}) {
            const std::vector<Member> members{swapped ? other : first, swapped ? first : other};
            std::vector<Member> archive;
            offer_to_archive(archive, members);
            REQUIRE(archive.size() == 1);
            ids.insert(archive.front().id);
        }
        REQUIRE(ids.size() == 1); // whichever came first
        return *ids.begin();
    };
    CHECK(kept(made_member("3*recent_attn + 1", 0.4999)) == "3*recent_attn + 1");
    CHECK(kept(made_member("recent_attn", 0.5001)) == "2*recent_attn");
    CHECK(kept(made_member("recent_attn", 0.5)) == "recent_attn");
    CHECK(kept(made_member("3*recent_attn + 1", 0.5)) == "2*recent_attn");
    Member lower = made_member("7*recent_attn", 0.5), higher = lower;
    lower.genome = Genome::saved(lower.genome.formula(), 0);
    higher.genome = Genome::saved(lower.genome.formula(), ~std::uint64_t{0});
    CHECK(kept(lower) == "7*recent_attn");
    CHECK(kept(higher) == "2*recent_attn");
}

TEST_CASE("the archive has one of each kind, in the order of cells") {
    std::vector<Member> archive;
    const std::vector<Member> first{made_member("cumulative_attn", 0.9), made_member("recent_attn", 0.3),
                                    made_member("recent_attn + 0.5", 0.2)};
    offer_to_archive(archive, first);
    CHECK(ids_of(archive) == std::vector<std::string>{"recent_attn + 0.5", "cumulative_attn"});
    const std::vector<Member> second{made_member("layer_ratio", 2), made_member("cumulative_attn + layer_ratio", 0.8),
                                     made_member("2*cumulative_attn", 0.7), made_member(nested(8), 0.9),
                                     made_member("position", 0.7)};
    offer_to_archive(archive, second);
    CHECK(ids_of(archive) == std::vector<std::string>{"layer_ratio", "position", "recent_attn + 0.5", nested(8),
                                                      "2*cumulative_attn", "cumulative_attn + layer_ratio"});
    CHECK(std::ranges::is_sorted(archive, {}, [](const Member& m) { return archive_cell(m.genome.formula()); }));
    offer_to_archive(archive, {});
    CHECK(archive.size() == 6);
}
