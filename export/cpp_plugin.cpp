// A formula as the source of a C++ plugin that includes nothing but the SDK. SPDX-License-Identifier: MIT
#include <fmt/format.h>

#include "export/exports.hpp"
#include "export/expression.hpp"
#include "framework/plugin/scaffold.hpp"

namespace evictlab::exporting {
namespace {

struct Function {
    std::string_view name, text;
};

/// In an order in which each is known to those that call it.
constexpr Function functions[] = {
    {"divide", "double divide(double a, double b) { return b == 0 ? 0 : a / b; } // 0 where b is 0\n"},
    {"logarithm", R"(double logarithm(double a) { // of the smallest normal number where a is below it
    constexpr double least = std::numeric_limits<double>::min();
    return std::log(a < least ? least : a);
}
)"},
    {"root", "double root(double a) { return a < 0 ? 0 : std::sqrt(a); } // 0 where a is negative\n"},
    {"square", "double square(double a) { return a * a; }\n"},
    {"cube", "double cube(double a) { return a * a * a; }\n"},
    {"power", R"(double power(double a, double b) { // |a|^b where a is negative and b no integer; 0 instead of 1 / 0
    if (std::isnan(a) || std::isnan(b)) return a + b;
    if (a == 0 && b < 0) return 0;
    if (a < 0 && std::isfinite(b) && b != std::trunc(b)) a = -a;
    return std::pow(a, b);
}
)"},
    {"smaller", "double smaller(double a, double b) { return a < b || std::isnan(a) ? a : b; } // NaN if either is\n"},
    {"larger", "double larger(double a, double b) { return a > b || std::isnan(a) ? a : b; } // NaN if either is\n"},
};

constexpr std::string_view source = R"(@COMMENT@// formula     @FORMULA@
//
// Sums, products, quotients, square roots, comparisons and the powers 1, 2, 3, 0.5 and -1 are the formula's to the bit;
// exp, log, tanh and other powers are the C library's and may differ in the last place.
@LICENCE@#include <evictlab/scorer.hpp>

#include <cmath>
#include <limits>

@FUNCTIONS@struct @STRUCT@ {
    static constexpr evictlab::Info info{.id = "@NAME@",
                                         .name = "@STRUCT@",
                                         .version = "1.0.0",
                                         .description = "a formula exported by evictlab",
                                         .reference = ""};
    @COLUMNS@;

    void score(evictlab::Head<@STRUCT@>@HEAD@, std::span<double> out) const {
@SPANS@        for (std::size_t i = 0; i < out.size(); ++i) {
            const double score = @SCORE@;
            out[i] = std::isnan(score) ? evictlab::drop : score;
        }
    }
};
EVICTLAB_SCORER(@STRUCT@)
)";

Layout choice(Layout condition, Layout a, Layout b) {
    // A choice in place of b goes on without parentheses: c ? a : d ? e : f.
    return infix(Tie::choice, infix(Tie::choice, std::move(condition), "?", at_least(Tie::comparison, std::move(a))),
                 ":", std::move(b));
}

std::optional<Layout> known_power(const Layout& base, double exponent) {
    if (exponent == 1) return base;
    if (exponent == 2) return call("square", {base});
    if (exponent == 3) return call("cube", {base});
    if (exponent == 0.5) return call("std::sqrt", {call("std::fabs", {base})});
    if (exponent == -1) return call("divide", {Layout("1.0"), base});
    return std::nullopt;
}

Language cpp(const std::vector<Variable>& variables) {
    Language language;
    language.column = [&variables](ColumnId id) { return name_of(variables, id) + "[i]"; };
    language.keep = "evictlab::keep";
    language.drop = "evictlab::drop";
    language.not_a_number = "std::numeric_limits<double>::quiet_NaN()";
    language.exp = "std::exp";
    language.abs = "std::fabs";
    language.tanh = "std::tanh";
    language.choice = choice;
    language.truth = [](Layout comparison) { return choice(std::move(comparison), Layout("1.0"), Layout("0.0")); };
    language.known_power = known_power;
    return language;
}

std::string spans_text(const std::vector<Variable>& variables) {
    std::string text;
    for (const auto& [id, variable] : variables)
        text += fmt::format("        const auto {} = head[\"{}\"];\n", variable, columns::name(id));
    return text;
}

std::string functions_text(const std::string& score) {
    std::string text;
    for (const Function& each : functions)
        if (mentions(score, each.name)) text += each.text;
    return text.empty() ? text : "namespace {\n\n" + text + "\n} // namespace\n\n";
}

} // namespace

std::string cpp_plugin(const Champion& champion, std::string_view version) {
    constexpr std::string_view before = "            const double score = ";
    const Term term = folded(champion.formula);
    const std::vector<Variable> variables = variables_of(term);
    const std::string score = write(lay_out(term, cpp(variables)), before.size(), 16, Commas::between);
    std::vector<Layout> names;
    for (const auto& [id, variable] : variables) names.emplace_back(fmt::format("\"{}\"", columns::name(id)));
    Layout list = call("static constexpr evictlab::Columns columns", std::move(names));
    list.open.back() = '{';
    list.close = "}";
    return filled(source, {{"@FUNCTIONS@", functions_text(score)},
                           {"@NAME@", champion.name},
                           {"@STRUCT@", struct_name(champion.name)},
                           {"@COLUMNS@", write(list, 4, 4, Commas::between)},
                           {"@HEAD@", variables.empty() ? "" : " head"},
                           {"@SPANS@", spans_text(variables)},
                           {"@SCORE@", score},
                           {"@FORMULA@", formula::print(champion.formula)},
                           {"@COMMENT@", provenance_comment(champion, version, "// ")},
                           {"@LICENCE@", licence_line(champion, false, "// ")}});
}

} // namespace evictlab::exporting
