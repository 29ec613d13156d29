// Taking formulas apart and putting them together, tidy numbers, and random draws against their definitions.
// SPDX-License-Identifier: MIT
#include "evolution/variation/expression.hpp"

#include <cmath>
#include <limits>
#include <numeric>

#include "base/statistics/philox.hpp"
#include "tests/support/catch.hpp"

using namespace evictlab;
using namespace evictlab::evolution;

namespace {

using Places = std::vector<std::size_t>;

Places shown_operands(const char* text, std::vector<std::string>& texts) {
    const Formula formula = formula::parse(text);
    const Places roots = operands(formula, formula.size() - 1);
    for (const std::size_t root : roots) texts.push_back(print(formula.subtree(root)));
    return roots;
}

std::string body_of(const char* text) {
    const Formula formula = formula::parse(text);
    return print(formula.subtree(body_root(formula)));
}

std::vector<std::string> terms_of(const char* text) {
    const Formula formula = formula::parse(text);
    std::vector<std::string> terms;
    for (const std::size_t root : term_roots(formula, body_root(formula)))
        terms.push_back(print(formula.subtree(root)));
    return terms;
}

using Texts = std::vector<std::string>;

} // namespace

TEST_CASE("numbers are tidied to four digits, at most 1e9 and at least 1e-9 in size") {
    CHECK(tidy(1.23456) == 1.235);
    CHECK(tidy(-123456) == -123500);
    CHECK(tidy(0.00012345678) == 0.0001235);
    CHECK(tidy(1e9) == 1e9);
    CHECK(tidy(2e9) == 1e9);
    CHECK(tidy(-2e9) == -1e9);
    CHECK(tidy(1e-9) == 1e-9);
    CHECK(tidy(0.99e-9) == 0);
    CHECK(tidy(-1e-9) == -1e-9);
    CHECK(tidy(-0.99e-9) == 0);
    for (const double none : {std::numeric_limits<double>::infinity(), -std::numeric_limits<double>::infinity(),
                              std::numeric_limits<double>::quiet_NaN()})
        CHECK(tidy(none) == 0);
    CHECK(constant(1.23456).nodes().front().value == 1.235);
}

TEST_CASE("changes of a constant are measured by its size, of zero by 0.02") {
    CHECK(size_of(3) == 3);
    CHECK(size_of(-3) == 3);
    CHECK(size_of(0) == 0.02);
    CHECK(size_of(1e-6) == 1e-6);
}

TEST_CASE("operands are found first to last") {
    Texts texts;
    CHECK(shown_operands("if(position < 4, key_norm, recent_attn*2)", texts) == Places{2, 3, 6});
    CHECK(texts == Texts{"position < 4", "key_norm", "recent_attn*2"});
    texts.clear();
    shown_operands("recent_attn/(key_norm + 1)", texts);
    CHECK(texts == Texts{"recent_attn", "key_norm + 1"});
    texts.clear();
    shown_operands("tanh(recent_attn)", texts);
    CHECK(texts == Texts{"recent_attn"});
    texts.clear();
    shown_operands("recent_attn", texts);
    CHECK(texts.empty());
}

TEST_CASE("the body is what is scored behind all guards") {
    CHECK(body_of("2*recent_attn") == "2*recent_attn");
    CHECK(body_of("if(position < 4, keep, 2*recent_attn)") == "2*recent_attn");
    CHECK(body_of("if(position < 4, keep, if(relative_pos < 4, 2*key_norm, drop))") == "2*key_norm");
    CHECK(body_of("if(position < 4, 3*key_norm, 2*recent_attn)") == "2*recent_attn"); // the last of two
    CHECK(body_of("if(position < 4, 3*key_norm, recent_attn)") == "3*key_norm");
}

TEST_CASE("terms are what the body adds and subtracts") {
    CHECK(terms_of("recent_attn") == Texts{"recent_attn"});
    CHECK(terms_of("recent_attn + 2*key_norm - (position - layer_ratio)") ==
          Texts{"recent_attn", "2*key_norm", "position", "layer_ratio"});
    CHECK(terms_of("-(recent_attn + key_norm)*2 + 3") == Texts{"-(recent_attn + key_norm)*2", "3"});
    CHECK(terms_of("recent_attn + -(key_norm + position)") == Texts{"recent_attn", "key_norm", "position"});
    CHECK(terms_of("max(recent_attn + 1, key_norm)") == Texts{"max(recent_attn + 1, key_norm)"});
    CHECK(terms_of("if(position < 4, keep, 2*recent_attn + key_norm)") == Texts{"2*recent_attn", "key_norm"});
    const Formula formula = formula::parse("recent_attn + key_norm*(position + 1)");
    CHECK(nodes_of(formula, Op::column) == Places{0, 1, 2});
    CHECK(nodes_of(formula, Op::add) == Places{4, 6});
    CHECK(nodes_of(formula, Op::exp).empty());
}

TEST_CASE("a term is added to the body, and a subtree is scaled by its own constant where it has one") {
    const auto with = [](const char* text) {
        return print(with_term(formula::parse(text), formula::parse("2*position")));
    };
    CHECK(with("if(position < 4, keep, 3*recent_attn)") == "if(position < 4, keep, 3*recent_attn + 2*position)");
    CHECK(with("recent_attn") == "recent_attn + 2*position");
    const auto scaled_root = [](const char* text, double factor) {
        const Formula formula = formula::parse(text);
        return print(scaled(formula, formula.size() - 1, factor));
    };
    CHECK(scaled_root("3", 2) == "6");
    CHECK(scaled_root("3*recent_attn", 2) == "6*recent_attn");
    CHECK(scaled_root("recent_attn*3", 2) == "recent_attn*6");
    CHECK(scaled_root("3*4", 2) == "6*4"); // one of them
    CHECK(scaled_root("recent_attn*key_norm", 2) == "2*(recent_attn*key_norm)");
    CHECK(scaled_root("recent_attn/3", 2) == "2*(recent_attn/3)");
    CHECK(scaled_root("recent_attn", 0.5) == "0.5*recent_attn");
    const Formula formula = formula::parse("recent_attn + key_norm");
    CHECK(print(scaled(formula, 1, 3)) == "recent_attn + 3*key_norm");
    CHECK(print(replaced(formula, 0, formula::parse("position^2"))) == "position^2 + key_norm");
}

TEST_CASE("long formulas are cut in the middle, at 60 characters") {
    const std::string sixty = "recent_attn*recent_attn + key_norm*key_norm - 12345*position";
    REQUIRE(sixty.size() == 60);
    CHECK(brief(formula::parse(sixty)) == sixty);
    CHECK(brief(formula::parse(sixty + "^2")).size() < 60);
    const std::string text = "recent_attn*recent_attn + key_norm*key_norm - 12345*position*layer_ratio";
    CHECK(brief(formula::parse(text)) == "recent_attn*recent_attn + key_ ... position*layer_ratio");
    CHECK(brief(formula::parse(text)) == text.substr(0, 30) + " ... " + text.substr(text.size() - 20));
}

TEST_CASE("a stream is Philox4x32-10 on the words seed, generation, slot and purpose") {
    // Salmon and others' known answers: counter and key all zero, and all ones but for the word that counts up.
    Rng zero(0, 0, 0, static_cast<Purpose>(0));
    CHECK(zero.next() == 0x6627e8d5);
    CHECK(zero.next() == 0xe169c58d);
    CHECK(zero.next() == 0xbc57ac4c);
    CHECK(zero.next() == 0x9b00dbd8);
    r123::Philox4x32 philox;
    const auto second = philox({{1, 7, 9, 3}}, {{0x89abcdef, 0x01234567}});
    Rng rng(0x0123456789abcdef, 7, 9, Purpose::tuning);
    for (int i = 0; i < 4; ++i) rng.next();
    for (const std::uint32_t word : second) CHECK(rng.next() == word);
    CHECK(static_cast<int>(Purpose::variation) == 1);
    CHECK(static_cast<int>(Purpose::tuning_choice) == 2);
    CHECK(static_cast<int>(Purpose::bootstrap) == 4);
    CHECK(static_cast<int>(Purpose::verdict_tuning) == 5);
}

TEST_CASE("draws are made of a stream's words as they are defined") {
    Rng rng(5, 6, 7, Purpose::bootstrap), words = rng;
    const std::uint64_t high = words.next(), low = words.next();
    CHECK(rng.uniform() == std::ldexp(static_cast<double>((high << 32 | low) >> 11), -53));
    Rng other = rng;
    const double drawn = rng.uniform(-2, 6);
    CHECK(drawn == -2 + 8 * other.uniform());
    double sum = -6;
    for (int i = 0; i < 12; ++i) sum += std::ldexp(static_cast<double>(other.next()), -32);
    CHECK(rng.normal() == sum);
    for (int i = 0; i < 200; ++i) {
        Rng copy = rng;
        const bool chance = rng.chance(0.3);
        CHECK(chance == (copy.uniform() < 0.3));
    }
    CHECK_FALSE(rng.chance(0));
    CHECK(rng.chance(1));
}

TEST_CASE("draws below a number are those of Lemire's rule, without bias") {
    // Of 3 * 2^30 a quarter of all words is thrown away, so the rule is seen at work.
    for (const std::size_t n : {std::size_t{1}, std::size_t{6}, std::size_t{1000}, std::size_t{3} << 30}) {
        Rng rng(1, 2, 3, Purpose::bootstrap), words = rng;
        for (int i = 0; i < 200; ++i) {
            const std::uint64_t unusable = (std::uint64_t{1} << 32) % n; // words whose low part is below this
            std::uint64_t product = 0;
            do product = std::uint64_t{words.next()} * n;
            while ((product & 0xffffffff) < unusable);
            CHECK(rng.below(n) == product >> 32);
        }
        CHECK(rng.next() == words.next());
    }
}

TEST_CASE("weights are the lengths of intervals, in their order") {
    const std::vector<double> weights{0.5, 0, 1.5, 2};
    Rng rng(1, 2, 3, Purpose::bootstrap);
    std::vector<int> counts(4);
    for (int i = 0; i < 400; ++i) {
        Rng copy = rng;
        const double at = copy.uniform() * 4;
        const std::size_t expected = at < 0.5 ? 0 : at < 2 ? 2 : 3;
        const std::size_t drawn = rng.weighted(weights);
        CHECK(drawn == expected);
        ++counts[drawn];
    }
    CHECK(counts[1] == 0);
    const std::vector<double> one{3};
    CHECK(rng.weighted(one) == 0);
}
