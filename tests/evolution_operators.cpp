// Every variation operator: what it makes is a formula that parses back, from its own random stream alone.
// SPDX-License-Identifier: MIT
#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <set>

#include "base/digest/digest.hpp"
#include "evolution/variation/expression.hpp"
#include "evolution/variation/operator.hpp"
#include "tests/support/catch.hpp"

using namespace evictlab;
using namespace evictlab::evolution;

namespace {

const std::string start_text =
    "if(position < 4, keep, if(relative_pos < 4, 1e6 - relative_pos, 0.6*recent_attn + "
    "0.4*cumulative_attn*((position+1)/sequence_len)^0.3 + 0.2*max(0, 1 - relative_pos/128)))";

std::vector<ColumnId> search_columns() {
    std::vector<ColumnId> ids;
    for (const char* name : {"position", "relative_pos", "recent_attn", "cumulative_attn", "key_norm", "layer_ratio"})
        ids.push_back(columns::intern(name));
    return ids;
}

const Operator& operator_named(std::string_view name) {
    for (const Operator& each : operators())
        if (each.name == name) return each;
    throw Error("no operator " + std::string(name));
}

/// Texts of what an operator makes of the parents in so many streams; nothing where it had nothing to work on.
std::set<std::string> offspring_of(std::string_view name, const std::vector<std::string>& parents, int streams = 200) {
    std::vector<Formula> formulas;
    for (const auto& text : parents) formulas.push_back(formula::parse(text));
    std::vector<const Formula*> pointers;
    for (const auto& each : formulas) pointers.push_back(&each);
    const auto ids = search_columns();
    std::set<std::string> made;
    for (int i = 0; i < streams; ++i) {
        Rng rng(7, 1, static_cast<std::uint32_t>(i), Purpose::variation);
        const Offspring offspring = operator_named(name).make(pointers, rng, {ids, 60});
        if (!offspring.formula.empty()) made.insert(print(canonical(offspring.formula)));
    }
    return made;
}

std::string same(const std::string& text) { return print(canonical(formula::parse(text))); }

} // namespace

TEST_CASE("every operator makes formulas that parse back, with a hypothesis, and the same ones again") {
    const Formula first = formula::parse(start_text);
    const Formula second = formula::parse("cumulative_attn/(relative_pos+1) + 0.3*max(0, 4-position)^2 - key_norm");
    const auto ids = search_columns();
    for (const Operator& each : operators()) {
        INFO(each.name);
        int made = 0;
        for (std::uint32_t slot = 0; slot < 200; ++slot) {
            const auto parents = slot % 2 == 0 ? std::array{&first, &second} : std::array{&second, &first};
            Rng rng(1, 2, slot, Purpose::variation);
            Rng again(1, 2, slot, Purpose::variation);
            const Offspring offspring = each.make(parents, rng, {ids, 60});
            if (offspring.formula.empty()) continue;
            ++made;
            CHECK_FALSE(offspring.hypothesis.empty());
            CHECK(formula::parse(print(offspring.formula)) == offspring.formula);
            CHECK(each.make(parents, again, {ids, 60}).formula == offspring.formula);
        }
        CHECK(made > 20);
    }
}

TEST_CASE("a stream makes these formulas, whatever compiler built the program") {
    const Formula first = formula::parse(start_text);
    const Formula second = formula::parse("cumulative_attn/(relative_pos+1) + 0.3*max(0, 4-position)^2 - key_norm");
    const std::array parents{&first, &second};
    const auto ids = search_columns();
    std::string made;
    for (const Operator& each : operators())
        for (std::uint32_t slot = 0; slot < 100; ++slot) {
            Rng rng(1, 3, slot, Purpose::variation);
            made += print(each.make(parents, rng, {ids, 60}).formula) + "\n";
        }
    // Where an operator was changed this changes, and operators_version is to be raised.
    CHECK(sha256_hex(made) == "2113c47dc0bd1ae4459a092c580a17c60fa04d81dcfacd610bf93f5e1eb29ad4");
}

TEST_CASE("operators have names of their own and a line of help") {
    std::set<std::string_view> names{"tune_constants", "start"};
    for (const Operator& each : operators()) {
        CHECK(names.insert(each.name).second);
        CHECK(each.weight > 0);
        CHECK(each.help.size() > 10);
    }
    for (const OpeningStrategy& each : opening_strategies()) CHECK(names.insert(each.name).second);
}

TEST_CASE("a sum becomes a mean") {
    const auto made = offspring_of("mean_instead_of_sum", {"cumulative_attn + 2*recent_attn"});
    CHECK(made == std::set{same("cumulative_attn/(relative_pos+1) + 2*recent_attn"),
                           same("cumulative_attn + 2*(recent_attn/min(relative_pos+1, 33))")});
    CHECK(offspring_of("mean_instead_of_sum", {"key_norm"}).empty());
}

TEST_CASE("a guard is dropped for its general case") {
    CHECK(offspring_of("drop_guard", {"if(position < 4, keep, 2*recent_attn)"}) == std::set{same("2*recent_attn")});
    CHECK(offspring_of("drop_guard", {"if(relative_pos < 64, 2*recent_attn, drop)"}) ==
          std::set{same("2*recent_attn")});
}

TEST_CASE("terms go into the body, behind the guards") {
    for (const auto& text : offspring_of("recency_term", {"if(position < 4, keep, 2*recent_attn)"})) {
        const Formula made = formula::parse(text);
        CHECK(made.nodes().back().op == Op::select);
        CHECK(term_roots(made, body_root(made)).size() == 2);
    }
}

TEST_CASE("reweighting moves two terms in opposite directions") {
    for (const auto& text : offspring_of("reweight_terms", {"1*recent_attn + 1*cumulative_attn"})) {
        const auto constants = formula::parse(text).constants();
        REQUIRE(constants.size() == 2);
        CHECK(constants[0] * constants[1] == Approx(1).epsilon(1e-3));
        CHECK(constants[0] != constants[1]);
    }
}

TEST_CASE("crossover of accepted formulas adds one's term to the other") {
    CHECK(offspring_of("crossover_accepted", {"recent_attn", "2*key_norm + 3*position"}) ==
          std::set{same("recent_attn + 2*key_norm"), same("recent_attn + 3*position")});
}

TEST_CASE("the opening strategies parse and keep to the seed's columns") {
    for (const OpeningStrategy& each : opening_strategies()) {
        INFO(each.name);
        CHECK(formula::parse(each.formula).size() <= 60);
    }
}

TEST_CASE("a random stream is a place in the run") {
    std::map<std::uint32_t, int> first_words;
    for (std::uint32_t generation = 0; generation < 4; ++generation)
        for (std::uint32_t slot = 0; slot < 100; ++slot)
            for (const auto purpose : {Purpose::variation, Purpose::tuning}) {
                ++first_words[Rng(1, generation, slot, purpose).next()];
                ++first_words[Rng(std::uint64_t{1} << 32, generation, slot, purpose).next()];
            }
    CHECK(first_words.size() > 1590); // of 1600; a few may meet by chance
    // Known answer of Philox4x32-10 for the zero key and counter (Random123's kat_vectors).
    CHECK(Rng(0, 0, 0, Purpose{0}).next() == 0x6627e8d5U);
}

TEST_CASE("random draws have the shape that they promise") {
    Rng rng(3, 0, 0, Purpose::variation);
    std::array<int, 5> counts{};
    double sum = 0;
    double squares = 0;
    const int draws = 20000;
    const std::array weights{1.0, 0.0, 3.0};
    std::array<int, 3> picked{};
    for (int i = 0; i < draws; ++i) {
        ++counts[rng.below(5)];
        const double normal = rng.normal();
        sum += normal;
        squares += normal * normal;
        ++picked[rng.weighted(weights)];
    }
    for (const int count : counts) CHECK(std::abs(count - draws / 5) < 300);
    CHECK(std::abs(sum / draws) < 0.03);
    CHECK(squares / draws == Approx(1).epsilon(0.05));
    CHECK(picked[1] == 0);
    CHECK(std::abs(picked[2] - 3 * draws / 4) < 300);
}

TEST_CASE("constants are tidied to four digits and stay finite") {
    CHECK(tidy(0.123456) == 0.1235);
    CHECK(tidy(-1234567) == -1235000);
    CHECK(tidy(1e300) == 1e9);
    CHECK(tidy(std::nan("")) == 0);
    CHECK(tidy(1e-12) == 0);
}

TEST_CASE("a term that is weighed like another keeps to its unit and its size") {
    const auto made = offspring_of("alike_term", {"0.4*cumulative_attn + 0.001*key_norm"});
    CHECK(made.size() > 50);
    for (const std::string& text : made) {
        const Formula child = formula::parse(text);
        // The only other column of a unit that the parent reads.
        const auto read = child.columns();
        CHECK(std::ranges::count(read, columns::intern("recent_attn")) == 1);
        for (const double value : child.constants()) CHECK((std::abs(value) < 1.2 && std::abs(value) >= 0.001));
    }
    CHECK(offspring_of("alike_term", {"0.001*key_norm"}).empty());
}

TEST_CASE("a column becomes another of its unit, is joined with it, or is bounded by it") {
    CHECK(offspring_of("alike_column", {"0.3*recent_attn + key_norm"}) ==
          std::set<std::string>{same("0.3*cumulative_attn + key_norm")});
    for (const std::string& text : offspring_of("geometric_mean_term", {"0.3*recent_attn"}))
        CHECK_THAT(text, ContainsSubstring("sqrt(cumulative_attn*recent_attn)"));
    for (const std::string& text : offspring_of("bounded_column", {"0.3*recent_attn"}))
        CHECK((text.starts_with("0.3*min(") || text.starts_with("0.3*max(")));
    for (const std::string& text : offspring_of("bounded_column", {"rank:key_norm"}))
        CHECK((text.starts_with("min(rank:key_norm, 0.") || text.starts_with("max(rank:key_norm, 0.")));
}
