// Formulas as text: what parses to what, that printing and parsing undo each other, and what errors say.
// SPDX-License-Identifier: MIT
#include <chrono>
#include <cstring>

#include "framework/formula/formula.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/random_formula.hpp"

using namespace evictlab;
using namespace evictlab::formula;

namespace {

std::string again(std::string_view text) { return print(parse(text)); }

std::string error_of(std::string_view text) {
    try {
        parse(text);
    } catch (const ParseError& error) {
        return error.what();
    }
    return "parsed";
}

bool same_bits(const Formula& a, const Formula& b) {
    if (!(a == b)) return false;
    const auto left = a.constants();
    const auto right = b.constants();
    return left.empty() || std::memcmp(left.data(), right.data(), left.size() * sizeof(double)) == 0;
}

} // namespace

TEST_CASE("operators bind as people expect") {
    CHECK(again("1+2*3") == "1 + 2*3");
    CHECK(again("((1+2))*3") == "(1 + 2)*3");
    CHECK(again("position-1-2") == "position - 1 - 2");
    CHECK(again("position-(1-2)") == "position - (1 - 2)");
    CHECK(again("2^3^position") == "2^3^position");
    CHECK(again("(2^3)^position") == "(2^3)^position");
    CHECK(again("-position^2") == "-position^2");
    CHECK(parse("-position^2") == parse("-(position^2)"));
    CHECK(parse("-2^2") == parse("-(2^2)"));
    CHECK(parse("-position*key_norm") == parse("(-position)*key_norm"));
    CHECK(again("(-2)^2") == "(-2)^2");
    CHECK(again("2^-position^2") == "2^-position^2");
    CHECK(again("1 < 2+3") == "1 < 2 + 3");
    CHECK(again("(1 < 2)+3") == "(1 < 2) + 3");
    CHECK(again("if(position<4,keep,0.5*key_norm) # sinks stay") == "if(position < 4, keep, 0.5*key_norm)");
    CHECK(again("# two lines\n\tmax(0,\r\n 1 - relative_pos/128)\n") == "max(0, 1 - relative_pos/128)");
}

TEST_CASE("numbers keep their bits") {
    for (const char* text : {"1e300", "0.1", "5e-324", "-0", "1.7976931348623157e+308", "0.30000000000000004"}) {
        CHECK(again(again(text)) == again(text));
    }
    CHECK(parse(".5").nodes()[0].value == 0.5);
    CHECK(parse("1e-3").nodes()[0].value == 1e-3);
    CHECK(parse("-3").size() == 1);
    CHECK(parse("-(3)").size() == 2);
    CHECK(again("-(3)") == "-(3)");
    CHECK(again("--3") == "--3");
}

TEST_CASE("min and max fold any number of arguments") {
    CHECK(parse("min(1, 2, 3)") == parse("min(min(1, 2), 3)"));
    CHECK(again("max(max(1, 2), max(3, 4), 5)") == "max(1, 2, max(3, 4), 5)");
}

TEST_CASE("a column may carry parameters in its name") {
    CHECK_THAT(error_of("nosuch:64:pool=5:avg==3"), ContainsSubstring("unknown column 'nosuch:64:pool=5:avg';"));
}

TEST_CASE("any formula parses back from its print") {
    testing::RandomFormulas random(20240611);
    for (int i = 0; i < 100000; ++i) {
        const Formula formula = random.next(40);
        const std::string text = print(formula);
        const Formula back = parse(text);
        if (!same_bits(formula, back) || print(back) != text) FAIL(text << "\nbecame\n" << print(back));
    }
}

TEST_CASE("the parentheses that are printed are all needed") {
    testing::RandomFormulas random(77);
    for (int i = 0; i < 300; ++i) {
        const std::string text = print(random.next(12));
        const Formula formula = parse(text);
        for (std::size_t open = 0; open < text.size(); ++open) {
            if (text[open] != '(' || (open > 0 && std::isalpha(static_cast<unsigned char>(text[open - 1])))) continue;
            std::size_t close = open;
            for (int nesting = 0; close < text.size(); ++close) {
                nesting += text[close] == '(' ? 1 : text[close] == ')' ? -1 : 0;
                if (nesting == 0) break;
            }
            std::string fewer = text;
            fewer.erase(close, 1).erase(open, 1);
            bool differs = true;
            try {
                differs = !(parse(fewer) == formula);
            } catch (const ParseError&) {
            }
            INFO(text << " vs " << fewer);
            CHECK(differs);
        }
    }
}

TEST_CASE("a parse error shows the line and a caret") {
    const std::string text = error_of("0.6*recent_attn +\n  0.4*recnt_attn");
    CHECK_THAT(text, ContainsSubstring("line 2, column 7: unknown column 'recnt_attn'"));
    CHECK_THAT(text, ContainsSubstring("cumulative_attn"));
    CHECK_THAT(text, ContainsSubstring("\n      0.4*recnt_attn\n          ^"));
}

TEST_CASE("each mistake is named") {
    const auto says = [](std::string_view text, const std::string& what) {
        CHECK_THAT(error_of(text), ContainsSubstring(what));
    };
    says("", "the formula is empty");
    says("  # nothing", "the formula is empty");
    says("1 +", "column 4: a value is missing at the end");
    says("1 + * 2", "column 5: a value is missing before '*'");
    says("(1 + 2", "column 1: this '(' is never closed");
    says("1 + 2)", "column 6: this ')' closes nothing");
    says("2 position", "column 3: an operator is missing here");
    says("1.2.3", "column 4: an operator is missing here");
    says("sin(1)", "column 1: unknown function 'sin'; known functions: abs, exp, if, log, max, min, sqrt, tanh");
    says("1 + exp", "column 5: 'exp' is a function; write exp(a)");
    says("max(1)", "max(a, b, ...) takes 2 or more arguments, not 1");
    says("if(1, 2)", "if(condition, a, b) takes 3 arguments, not 2");
    says("exp(1, 2)", "exp(a) takes 1 argument, not 2");
    says("exp()", "a value is missing before ')'");
    says("1 = 2", "to compare write '=='");
    says("2 ** 3", "for a power write '^'");
    says("1 < 2 < 3", "column 7: comparisons do not chain");
    says("1, 2", "a ',' outside");
    says("1e999", "column 1: the number 1e999 is outside");
    says("1 + 1e-999", "column 5: the number 1e-999 is outside");
    says("1 $ 2", "unexpected '$'");
    says("1 \xc3\xa9", "unexpected byte 195");
    says("keep(1)", "an operator is missing");
}

TEST_CASE("the caret stands under the place after other alphabets and tabs") {
    const std::string text = error_of("1 + 2 # \xc3\xa9t\xc3\xa9\n\t1 $");
    CHECK_THAT(text, ContainsSubstring("unexpected") || ContainsSubstring("operator is missing"));
    CHECK_THAT(error_of("\t1 $"), ContainsSubstring("     1 $\n       ^"));
}

TEST_CASE("hostile text is refused at once") {
    const std::size_t million = 1000000;
    std::string sum = "1";
    for (std::size_t i = 0; i < million; ++i) sum += "+1";
    const auto start = std::chrono::steady_clock::now();
    CHECK_THAT(error_of(std::string(million, '(')), ContainsSubstring("nested more than 256 levels deep"));
    CHECK_THAT(error_of(std::string(million, '-')), ContainsSubstring("nested more than 256 levels deep"));
    CHECK_THAT(error_of(sum), ContainsSubstring("more than 4096 nodes"));
    CHECK_THAT(error_of(std::string(million, 'x')), ContainsSubstring("unknown column 'xxx"));
    CHECK_THAT(error_of(std::string(million, '\n') + "$"), ContainsSubstring("line 1000001, column 1"));
    CHECK(error_of(std::string(million, '(')).size() < 400);
    std::string powers = "1";
    for (std::size_t i = 0; i < million; ++i) powers += "^1";
    CHECK_THAT(error_of(powers), ContainsSubstring("nested more than 256"));
    CHECK(std::chrono::steady_clock::now() - start < std::chrono::seconds(200));
}

TEST_CASE("random bytes never do worse than an error") {
    testing::RandomFormulas random(5);
    static constexpr char alphabet[] = "0123456789.e+-*/^()<>=,:# \n\tabkeepifmaxposition_\xc3\xff";
    for (int i = 0; i < 20000; ++i) {
        std::string text;
        for (std::size_t n = random.below(30); n > 0; --n) text += alphabet[random.below(sizeof alphabet)];
        try {
            const Formula formula = parse(text);
            CHECK(parse(print(formula)) == formula);
        } catch (const ParseError& error) {
            CHECK(error.offset <= text.size());
        }
    }
}

TEST_CASE("limits can be raised") {
    const std::string nested = std::string(300, '(') + "1" + std::string(300, ')');
    CHECK_THROWS_AS(parse(nested), ParseError);
    CHECK(parse(nested, {.nodes = 10, .depth = 400}).size() == 1);
}

TEST_CASE("subtrees are cut out and put in") {
    const Formula formula = parse("position*2 + exp(key_norm)");
    CHECK(formula.depth() == 3);
    CHECK(print(formula.subtree(2)) == "position*2");
    CHECK(print(formula.with_subtree(2, parse("1 - is_sink").nodes())) == "1 - is_sink + exp(key_norm)");
    CHECK(print(formula.with_constants(std::vector{-7.0})) == "position*-7 + exp(key_norm)");
    CHECK_THROWS_AS(formula.with_constants(std::vector{1.0, 2.0}), Error);
    CHECK_THROWS_AS(Formula(std::vector<Node>{{.op = Op::add}}), Error);
    CHECK_THROWS_AS(Formula(std::vector<Node>{{.op = Op::keep}, {.op = Op::keep}}), Error);
    CHECK_THROWS_AS(Formula(std::vector<Node>{{.value = std::nan("")}}), Error);
}

TEST_CASE("an explanation names the rules, the terms and the columns") {
    const std::string text = explain(parse("if(position < 4, keep, 0.6*recent_attn - 0.1*key_norm)"));
    CHECK_THAT(text, ContainsSubstring("where position < 4: always kept\nelse the sum of\n  plus  0.6*recent_attn\n  "
                                       "minus 0.1*key_norm\nreads\n"));
    for (const ColumnInfo& info : columns::all()) {
        if (info.name == "recent_attn") CHECK_THAT(text, ContainsSubstring("recent_attn  " + info.help));
    }
    CHECK_THAT(explain(parse("keep")), ContainsSubstring("always kept\nreads no columns"));
}
