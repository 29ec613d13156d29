// Every operator on formulas held to its description, written here as text: from the same random stream it must make
// this formula and say these words. SPDX-License-Identifier: MIT
#include <fmt/format.h>

#include <array>
#include <cmath>
#include <functional>
#include <optional>

#include "evolution/variation/expression.hpp"
#include "evolution/variation/operator.hpp"
#include "tests/support/catch.hpp"

using namespace evictlab;
using namespace evictlab::evolution;

namespace {

using Texts = std::vector<std::string>;

struct Made {
    std::string formula, hypothesis;
};
/// What is expected from a stream; nothing where the operator has nothing to work on.
using Expected = std::function<std::optional<Made>(Rng& rng)>;

const Texts readable{"recent_attn", "key_norm", "cumulative_attn", "layer_ratio"};

std::string same(const Formula& formula) { return print(canonical(formula)); }
std::string same(const std::string& text) { return same(formula::parse(text)); }

/// A number as formulas have it.
std::string number(double value) { return fmt::format("({})", tidy(value)); }

/// Over many streams: the formula, the words, and not a draw more or less.
void check(std::string_view name, const Texts& parents, const Expected& expected, const Texts& columns = readable) {
    INFO(name);
    const auto op = std::ranges::find(operators(), name, &Operator::name);
    REQUIRE(op != operators().end());
    std::vector<Formula> formulas;
    for (const auto& text : parents) formulas.push_back(formula::parse(text));
    std::vector<const Formula*> pointers;
    for (const auto& each : formulas) pointers.push_back(&each);
    std::vector<ColumnId> ids;
    for (const auto& column : columns) ids.push_back(columns::intern(column));
    for (std::uint32_t slot = 0; slot < 120; ++slot) {
        Rng rng(31, 1, slot, Purpose::variation), again = rng;
        const Offspring offspring = op->make(pointers, rng, {ids, 60});
        const auto wanted = expected(again);
        CHECK(rng.next() == again.next());
        REQUIRE(offspring.formula.empty() == !wanted);
        if (!wanted) continue;
        CHECK(same(offspring.formula) == same(wanted->formula));
        CHECK(offspring.hypothesis == wanted->hypothesis);
    }
}

const Expected nothing = [](Rng&) { return std::nullopt; };

/// A leaf and a subtree as the generic operators grow them.
std::string leaf(Rng& rng) {
    if (rng.uniform() < 0.6) return readable[rng.below(readable.size())];
    constexpr double usual[] = {0.1, 0.3, 0.5, 1, 2, 4, 32};
    const double size = usual[rng.below(7)];
    return number(size * (0.5 + rng.uniform()));
}
std::string grown(Rng& rng, std::size_t depth) {
    if (depth == 0 || rng.uniform() < 0.15) return leaf(rng);
    if (rng.uniform() < 0.15) {
        const std::string operand = grown(rng, depth - 1);
        constexpr const char* unary[] = {"exp", "log", "sqrt", "abs", "tanh"};
        return fmt::format("{}({})", unary[rng.below(5)], operand);
    }
    constexpr const char* binary[] = {"({})+({})",  "({})-({})",  "({})*({})", "({})/({})",
                                      "min({},{})", "max({},{})", "({})^({})"};
    const std::size_t op = rng.below(7);
    const std::string first = grown(rng, depth - 1);
    return fmt::format(fmt::runtime(binary[op]), first, op == 6 ? number(rng.uniform(0.2, 3)) : grown(rng, depth - 1));
}

/// The text of a formula's subtree, as hypotheses show it where it is short.
std::string part(const Formula& formula, std::size_t at) { return print(formula.subtree(at)); }

std::string with(const Formula& formula, std::size_t at, const std::string& by) {
    return print(replaced(formula, at, formula::parse(by)));
}

} // namespace

TEST_CASE("subtrees are exchanged, grown, hoisted and shrunk where the stream says") {
    const std::string first = "2*recent_attn + max(0, 1 - relative_pos/128)", second = "key_norm/(position + 1)";
    const Formula a = formula::parse(first), b = formula::parse(second);
    check("subtree_crossover", {first, second}, [&](Rng& rng) {
        const std::size_t at = rng.below(a.size()), from = rng.below(b.size());
        return Made{with(a, at, part(b, from)),
                    fmt::format("puts `{}` of the second parent in the place of `{}`: what helped there may help here",
                                part(b, from), part(a, at))};
    });
    check("subtree_mutation", {first}, [&](Rng& rng) {
        const std::size_t at = rng.below(a.size()), depth = 1 + rng.below(3);
        const Formula subtree = formula::parse(grown(rng, depth));
        return Made{with(a, at, print(subtree)),
                    fmt::format("tries `{}` in the place of `{}`", brief(subtree), part(a, at))};
    });
    check("hoist", {first}, [&](Rng& rng) -> std::optional<Made> {
        const std::size_t outer = rng.below(a.size()), length = a.nodes()[outer].length;
        if (length == 1) return std::nullopt;
        const std::size_t inner = outer + 1 - length + rng.below(length - 1);
        return Made{with(a, outer, part(a, inner)),
                    fmt::format("keeps only `{}` of `{}`: the rest may be noise", part(a, inner), part(a, outer))};
    });
    check("shrink", {first}, [&](Rng& rng) -> std::optional<Made> {
        const std::size_t at = rng.below(a.size());
        if (a.nodes()[at].length == 1) return std::nullopt;
        const std::string by = print(formula::parse(leaf(rng)));
        return Made{with(a, at, by), fmt::format("`{}` may do as well as `{}`", by, part(a, at))};
    });
}

TEST_CASE("one node becomes another of its kind") {
    const std::string text = "if(position < 4, keep, 2*tanh(recent_attn) - key_norm)";
    const Formula parent = formula::parse(text);
    check("point_mutation", {text}, [&](Rng& rng) -> std::optional<Made> {
        const std::size_t at = rng.below(parent.size());
        const formula::Node& node = parent.nodes()[at];
        std::vector<formula::Node> nodes(parent.nodes().begin(), parent.nodes().end());
        constexpr Op unary[] = {Op::exp, Op::log, Op::sqrt, Op::abs, Op::tanh};
        constexpr Op binary[] = {Op::add, Op::sub, Op::mul, Op::div, Op::min, Op::max, Op::pow};
        switch (node.op) {
        case Op::column:
            nodes[at].column = columns::intern(readable[rng.below(4)]);
            break;
        case Op::constant:
            nodes[at].value = tidy(node.value * rng.uniform(0.5, 2));
            break;
        case Op::tanh:
            nodes[at].op = unary[rng.below(5)];
            break;
        case Op::lt:
        case Op::mul:
        case Op::sub:
            nodes[at].op = binary[rng.below(7)];
            break;
        default: // keep, and the condition itself
            return std::nullopt;
        }
        const Formula child{nodes};
        return Made{print(child),
                    fmt::format("reads `{}` where `{}` was: one node changed", part(child, at), part(parent, at))};
    });
}

TEST_CASE("constants move by their own size, one by 30 % or all by 8 %") {
    const std::string text = "4*recent_attn + max(0, key_norm - 0.5)";
    const Formula parent = formula::parse(text);
    const auto places = nodes_of(parent, Op::constant);
    const auto moved = [](double value, double spread, Rng& rng) {
        const double scaled = value * (1 + spread * rng.normal());
        return tidy(value == 0 ? 0.1 * rng.normal() : scaled);
    };
    check("constant_mutation", {text}, [&](Rng& rng) {
        const std::size_t at = places[rng.below(3)];
        const double before = parent.nodes()[at].value, after = moved(before, 0.3, rng);
        return Made{with(parent, at, number(after)),
                    fmt::format("{} instead of {} may weigh it better", after, before)};
    });
    check("constants_jitter", {text}, [&](Rng& rng) {
        std::vector<double> values = parent.constants();
        for (double& value : values) value = moved(value, 0.08, rng);
        return Made{print(parent.with_constants(values)),
                    "all 3 constants moved by about 8 %: looks for a better balance nearby"};
    });
    check("constant_mutation", {"recent_attn"}, nothing);
    check("constants_jitter", {"recent_attn"}, nothing);
}

TEST_CASE("terms of the sum exchange weight") {
    // Three terms: one with a constant, one without, and one that is a constant.
    check("reweight_terms", {"if(position < 4, keep, 2*recent_attn + key_norm - 8)"}, [](Rng& rng) {
        const std::size_t first = rng.below(3), second = (first + 1 + rng.below(2)) % 3;
        const double factor = rng.uniform(1.1, 1.8);
        double weights[] = {1, 1, 1};
        weights[first] = factor;
        weights[second] = 1 / factor;
        const char* const shown[] = {"2*recent_attn", "key_norm", "8"};
        const std::string middle = weights[1] == 1 ? "key_norm" : number(weights[1]) + "*key_norm";
        return Made{
            fmt::format("if(position < 4, keep, {}*recent_attn + {} - {})", number(2 * weights[0]), middle,
                        number(8 * weights[2])),
            fmt::format("weighs `{}` {:.2f} times more and `{}` as much less", shown[first], factor, shown[second])};
    });
    check("reweight_terms", {"recent_attn*key_norm"}, nothing);
}

TEST_CASE("exponents change, or a term gets one") {
    const auto words = [](double after, double before) {
        return fmt::format("power {} instead of {}: the correction may be too {}", after, before,
                           after < before ? "strong" : "weak");
    };
    const auto raised = [](const std::string& term, double power) {
        return fmt::format("`{}` to the power {}: {} its large values", term, power,
                           power < 1 ? "dampens" : "stresses");
    };
    check("change_power", {"recent_attn^0.5 + 3*key_norm"}, [&](Rng& rng) {
        if (rng.uniform() < 0.7) {
            rng.below(1);
            const double after = tidy(0.5 * rng.uniform(0.5, 1.6));
            return Made{fmt::format("recent_attn^{} + 3*key_norm", number(after)), words(after, 0.5)};
        }
        const bool second = rng.below(2) == 1;
        const double power = tidy(rng.uniform(0.4, 2));
        return Made{second ? fmt::format("recent_attn^0.5 + (3*key_norm)^{}", number(power))
                           : fmt::format("(recent_attn^0.5)^{} + 3*key_norm", number(power)),
                    raised(second ? "3*key_norm" : "recent_attn^0.5", power)};
    });
    // No exponent that is a constant, and a term that is one.
    check("change_power", {"recent_attn^key_norm + 3"}, [&](Rng& rng) -> std::optional<Made> {
        if (rng.below(2) == 1) return std::nullopt;
        const double power = tidy(rng.uniform(0.4, 2));
        return Made{fmt::format("(recent_attn^key_norm)^{} + 3", number(power)), raised("recent_attn^key_norm", power)};
    });
}

TEST_CASE("a term in the key's norm is added, mostly against large keys") {
    check("key_norm_term", {"if(position < 4, keep, 2*recent_attn)"}, [](Rng& rng) {
        const double direction = rng.uniform() < 0.7 ? -0.1 : 0.1;
        const double weight = tidy(direction * rng.uniform(0.3, 2));
        return Made{fmt::format("if(position < 4, keep, 2*recent_attn + {}*min(key_norm, 2))", number(weight)),
                    fmt::format("{} tokens with large keys by {} (KnormPress): their keys may be outliers",
                                weight < 0 ? "penalises" : "rewards", std::abs(weight))};
    });
}

TEST_CASE("a coefficient of the body comes to depend on the layer") {
    const auto words = [](double base, double slope) {
        return fmt::format("lets {} go to {} in the last layer (PyramidKV): late layers are more focused", base,
                           tidy(base + slope));
    };
    check("layer_coefficient", {"if(position < 4, keep, 3*recent_attn + max(0, key_norm))"}, [&](Rng& rng) {
        const bool second = rng.below(2) == 1; // the guard's 4 is none of the body's
        const double base = second ? 0 : 3, slope = tidy((second ? 0.02 : 3.0) * 0.5 * rng.normal());
        const std::string layered = fmt::format("({} + {}*layer_ratio)", base, number(slope));
        return Made{fmt::format("if(position < 4, keep, {}*recent_attn + max({}, key_norm))", second ? "3" : layered,
                                second ? layered : "0"),
                    words(base, slope)};
    });
    check("layer_coefficient", {"if(key_norm < 4, recent_attn, key_norm*recent_attn)"}, nothing);
    // A body that is a branch with constants behind it.
    check("layer_coefficient", {"if(position < 4, 5*recent_attn, 7)"}, [&](Rng& rng) {
        rng.below(1);
        const double slope = tidy(5 * 0.5 * rng.normal());
        return Made{fmt::format("if(position < 4, (5 + {}*layer_ratio)*recent_attn, 7)", number(slope)),
                    words(5, slope)};
    });
}

TEST_CASE("a term of the second parent is added to the first") {
    check("crossover_accepted",
          {"if(position < 4, keep, 5*recent_attn)", "if(position < 2, keep, 2*key_norm - position)"}, [](Rng& rng) {
              const std::string term = rng.below(2) == 0 ? "2*key_norm" : "position";
              return Made{
                  fmt::format("if(position < 4, keep, 5*recent_attn + {})", term),
                  fmt::format("adds the term `{}` of another accepted formula: their signals may add up", term)};
          });
}

TEST_CASE("sums over queries become means") {
    const std::string recent_mean = "recent_attn/min(relative_pos + 1, 33)",
                      cumulative_mean = "cumulative_attn/(relative_pos + 1)";
    check("mean_instead_of_sum", {"recent_attn + key_norm*cumulative_attn"}, [&](Rng& rng) {
        const bool second = rng.below(2) == 1;
        return Made{second ? fmt::format("recent_attn + key_norm*({})", cumulative_mean)
                           : fmt::format("{} + key_norm*cumulative_attn", recent_mean),
                    fmt::format("the mean of {} over the queries that saw the token: a sum favours old tokens",
                                second ? "cumulative_attn" : "recent_attn")};
    });
    check("mean_instead_of_sum", {"key_norm + window_attn:64"}, nothing);
    check("mean_term", {"key_norm"}, [&](Rng& rng) {
        const bool recent = rng.uniform() < 0.5;
        const double weight = tidy(std::exp2(rng.uniform(-1, 4)));
        const std::string mean = recent ? recent_mean : cumulative_mean;
        return Made{fmt::format("key_norm + {}*({})", number(weight), mean),
                    fmt::format("adds {} times `{}`: what a token got a query tells what it will get", weight,
                                print(formula::parse(mean)))};
    });
}

TEST_CASE("the width of a window changes wherever a constant stands beside the distance") {
    struct Place {
        const char* text;
        double width;
    };
    for (const Place& place : {Place{"1 - relative_pos/{}", 64},
                               {"key_norm*(relative_pos < {})", 32},
                               {"key_norm*({} < relative_pos)", 16},
                               {"if(relative_pos <= {}, key_norm, 3)", 8},
                               {"if({} <= relative_pos, key_norm, 3)", 8},
                               {"relative_pos*{}", 0.5},
                               {"{}*relative_pos", 0.25},
                               {"{}/relative_pos + 9*key_norm", 2}}) {
        INFO(place.text);
        check("window_constant", {fmt::format(fmt::runtime(place.text), place.width)}, [&](Rng& rng) {
            rng.below(1);
            const double after = tidy(place.width * std::exp2(rng.uniform(-1.5, 1.5)));
            return Made{fmt::format(fmt::runtime(place.text), after),
                        fmt::format("a window constant of {} instead of {}: attention may fade over another distance",
                                    after, place.width)};
        });
    }
    for (const char* none : {"relative_pos - 4", "relative_pos + 4", "4 - relative_pos", "max(relative_pos, 4)",
                             "position/4", "relative_pos > 4", "relative_pos/key_norm", "key_norm/relative_pos",
                             "key_norm*relative_pos", "3/4*key_norm", "relative_pos"})
        check("window_constant", {none}, nothing);
    check("window_constant", {"(relative_pos < 8)*key_norm - relative_pos/64"}, [](Rng& rng) {
        const bool second = rng.below(2) == 1;
        const double before = second ? 64 : 8, after = tidy(before * std::exp2(rng.uniform(-1.5, 1.5)));
        return Made{second ? fmt::format("(relative_pos < 8)*key_norm - relative_pos/{}", after)
                           : fmt::format("(relative_pos < {})*key_norm - relative_pos/64", after),
                    fmt::format("a window constant of {} instead of {}: attention may fade over another distance",
                                after, before)};
    });
}

TEST_CASE("rewards for recent tokens, sinks and columns are added") {
    check("recency_term", {"key_norm"}, [](Rng& rng) {
        constexpr double windows[] = {8, 16, 32, 64, 128};
        const double window = windows[rng.below(5)], weight = tidy(std::exp2(rng.uniform(-4, 1)));
        return Made{
            fmt::format("key_norm + {}*max(0, 1 - relative_pos/{})", number(weight), window),
            fmt::format("rewards the last {} tokens by up to {}: recent tokens are attended to", window, weight)};
    });
    check("sink_term", {"key_norm"}, [](Rng& rng) {
        const double weight = tidy(std::exp2(rng.uniform(-5, 0)));
        return Made{fmt::format("key_norm + {}*max(0, 4 - position)", number(weight)),
                    fmt::format("rewards the first four tokens by {} a step: sinks, the first the most", weight)};
    });
    check("column_term", {"position"}, [](Rng& rng) {
        const std::string column = readable[rng.below(4)];
        const double weight = tidy(0.2 * rng.normal());
        return Made{fmt::format("position + {}*{}", number(weight), column),
                    fmt::format("adds {} * {}: the column may tell something more", weight, column)};
    });
}

TEST_CASE("a term comes to depend on a column, the length, the age or the layer") {
    check("modulate_term", {"if(position < 4, keep, 2*key_norm + position)"}, [](Rng& rng) {
        const std::string term = rng.below(2) == 0 ? "2*key_norm" : "position";
        std::string factor;
        switch (rng.below(4)) {
        case 0:
            factor = readable[rng.below(4)];
            break;
        case 1:
            factor = fmt::format("sequence_len^{}", number(rng.uniform(-1, 1)));
            break;
        case 2:
            factor = fmt::format("(relative_pos + 1)^{}", number(rng.uniform(-1, 1)));
            break;
        default:
            factor = fmt::format("(1 + {}*layer_ratio)", number(rng.normal()));
        }
        const std::string product = fmt::format("({})*({})", term, factor);
        return Made{term == "position" ? fmt::format("if(position < 4, keep, 2*key_norm + {})", product)
                                       : fmt::format("if(position < 4, keep, {} + position)", product),
                    fmt::format("makes `{}` depend on `{}`", term, print(formula::parse(factor)))};
    });
}

TEST_CASE("guards are dropped for their general case, and terms for nothing") {
    const auto words = [](const char* guard) {
        return fmt::format("without the guard `{}`: the score may know better", guard);
    };
    check("drop_guard", {"if(position < 4, keep, if(relative_pos < 8, 2*recent_attn, drop))"}, [&](Rng& rng) {
        const bool outer = rng.below(2) == 1; // the inner one comes first
        return Made{outer ? "if(relative_pos < 8, 2*recent_attn, drop)" : "if(position < 4, keep, 2*recent_attn)",
                    words(outer ? "position < 4" : "relative_pos < 8")};
    });
    check("drop_guard", {"if(position < 4, 2*key_norm, recent_attn)"}, [&](Rng& rng) {
        rng.below(1);
        return Made{"2*key_norm", words("position < 4")};
    });
    check("drop_guard", {"2*key_norm"}, nothing);
    check("drop_term", {"if(position < 4, keep, 2*key_norm - recent_attn)"}, [](Rng& rng) {
        const bool second = rng.below(2) == 1;
        return Made{second ? "if(position < 4, keep, 2*key_norm - 0)" : "if(position < 4, keep, 0 - recent_attn)",
                    fmt::format("without the term `{}`: it may only add noise", second ? "recent_attn" : "2*key_norm")};
    });
    check("drop_term", {"2*key_norm*recent_attn"}, nothing);
}

TEST_CASE("a column becomes another of its unit") {
    const auto words = [](const std::string& after, const std::string& before) {
        return fmt::format("reads {} where {} was, which has the same unit", after, before);
    };
    check("alike_column", {"recent_attn + 3*key_norm"}, [&](Rng& rng) -> std::optional<Made> {
        if (rng.below(2) == 1) return std::nullopt; // of key_norm's unit there is no other
        rng.below(1);
        return Made{"cumulative_attn + 3*key_norm", words("cumulative_attn", "recent_attn")};
    });
    const Texts captured{"window_attn:16", "window_attn:64", "expected_attn",    "last_attn",
                         "rank:key_norm",  "rank:key_cos",   "recent_attn",      "window_std:64",
                         "observed_attn",  "window_max:64",  "replayed_attn:64", "key_cos"};
    check(
        "alike_column", {"window_attn:16"},
        [&](Rng& rng) {
            rng.below(1);
            const Texts alike{"window_attn:64", "expected_attn", "last_attn",       "window_std:64",
                              "observed_attn",  "window_max:64", "replayed_attn:64"};
            const std::string after = alike[rng.below(alike.size())];
            return Made{after, words(after, "window_attn:16")};
        },
        captured);
    check(
        "alike_column", {"rank:key_norm"},
        [&](Rng& rng) {
            rng.below(1);
            rng.below(1);
            return Made{"rank:key_cos", words("rank:key_cos", "rank:key_norm")};
        },
        captured);
    check(
        "alike_column", {"key_cos"},
        [](Rng& rng) -> std::optional<Made> {
            rng.below(1);
            return std::nullopt;
        },
        captured);
    check("alike_column", {"3"}, nothing, captured);
}

TEST_CASE("a new term takes its weight from one that reads its unit") {
    const Texts columns{"window_attn:64", "last_attn", "key_norm"};
    const std::string parent = "if(position < 4, keep, 0.25*window_attn:64 + 8*key_norm)";
    const auto model = [](Rng& rng) { // the term, and its one column
        const bool second = rng.below(2) == 1;
        rng.below(1);
        return second;
    };
    check(
        "alike_term", {parent},
        [&](Rng& rng) -> std::optional<Made> {
            if (model(rng)) return std::nullopt;
            rng.below(1);
            const double sign = rng.uniform() < 0.3 ? -1 : 1,
                         weight = tidy(sign * 0.25 * std::exp2(rng.uniform(-2.5, 1.5)));
            return Made{
                fmt::format("if(position < 4, keep, 0.25*window_attn:64 + 8*key_norm + {}*last_attn)", number(weight)),
                fmt::format("adds {} * last_attn, weighed like window_attn:64: the column may tell something more",
                            weight)};
        },
        columns);
    check(
        "geometric_mean_term", {parent},
        [&](Rng& rng) -> std::optional<Made> {
            if (model(rng)) return std::nullopt;
            rng.below(1);
            const double weight = tidy(0.25 * std::exp2(rng.uniform(-2, 2)));
            return Made{
                fmt::format(
                    "if(position < 4, keep, 0.25*window_attn:64 + 8*key_norm + {}*sqrt(window_attn:64*last_attn))",
                    number(weight)),
                fmt::format("adds {} times `{}`: what both signals say counts more", weight,
                            print(formula::parse("sqrt(window_attn:64*last_attn)")))};
        },
        columns);
    // A term without a weight of its own counts once; one that reads no column is no model.
    check(
        "alike_term", {"window_attn:64/4 + 5"},
        [&](Rng& rng) -> std::optional<Made> {
            if (rng.below(2) == 1) return std::nullopt;
            rng.below(1);
            rng.below(1);
            const double sign = rng.uniform() < 0.3 ? -1 : 1, weight = tidy(sign * std::exp2(rng.uniform(-2.5, 1.5)));
            return Made{
                fmt::format("window_attn:64/4 + 5 + {}*last_attn", number(weight)),
                fmt::format("adds {} * last_attn, weighed like window_attn:64: the column may tell something more",
                            weight)};
        },
        columns);
    // Of a term that reads several columns any may be the model.
    check(
        "geometric_mean_term", {"window_attn:64*last_attn*2"},
        [&](Rng& rng) {
            rng.below(1);
            const bool second = rng.below(2) == 1;
            rng.below(1);
            const double weight = tidy(2 * std::exp2(rng.uniform(-2, 2)));
            const std::string mean = second ? "sqrt(last_attn*window_attn:64)" : "sqrt(window_attn:64*last_attn)";
            return Made{fmt::format("window_attn:64*last_attn*2 + {}*{}", number(weight), mean),
                        fmt::format("adds {} times `{}`: what both signals say counts more", weight,
                                    print(formula::parse(mean)))};
        },
        columns);
    check("geometric_mean_term", {"2"}, [](Rng& rng) -> std::optional<Made> {
        rng.below(1);
        return std::nullopt;
    });
}

TEST_CASE("a column is cut off at a multiple of its unit, a rank at a constant") {
    const Texts columns{"window_attn:64", "last_attn", "key_norm", "rank:key_norm"};
    const auto bounded = [](const std::string& column, const std::string& bound, bool min) {
        return Made{fmt::format("{}({}, {})", min ? "min" : "max", column, bound),
                    fmt::format("{} is {} `{}`: beyond, it may mislead", column, min ? "at most" : "at least",
                                print(formula::parse(bound)))};
    };
    check(
        "bounded_column", {"last_attn"},
        [&](Rng& rng) {
            rng.below(1);
            const double factor = tidy(std::exp2(rng.uniform(-1, 2)));
            rng.below(1);
            return bounded("last_attn", fmt::format("{}*window_attn:64", factor), rng.uniform() < 0.5);
        },
        columns);
    check(
        "bounded_column", {"rank:key_norm"},
        [&](Rng& rng) {
            rng.below(1);
            const double factor = tidy(rng.uniform(0.1, 0.9));
            return bounded("rank:key_norm", fmt::format("{}", factor), rng.uniform() < 0.5);
        },
        columns);
    check(
        "bounded_column", {"key_norm"},
        [](Rng& rng) -> std::optional<Made> {
            rng.below(1);
            return std::nullopt;
        },
        columns);
    check("bounded_column", {"3"}, nothing, columns);
}

TEST_CASE("operators are drawn with these weights, and ask for these parents") {
    struct Row {
        std::string_view name;
        Mating mating;
        double weight;
    };
    const Row rows[] = {{"subtree_crossover", Mating::two, 2.0},
                        {"subtree_mutation", Mating::one, 1.5},
                        {"point_mutation", Mating::one, 1.5},
                        {"hoist", Mating::one, 1.0},
                        {"shrink", Mating::one, 0.7},
                        {"constant_mutation", Mating::one, 1.0},
                        {"constants_jitter", Mating::one, 0.7},
                        {"reweight_terms", Mating::one, 1.0},
                        {"change_power", Mating::one, 1.0},
                        {"key_norm_term", Mating::one, 0.3},
                        {"layer_coefficient", Mating::one, 0.7},
                        {"crossover_accepted", Mating::accepted, 1.5},
                        {"mean_instead_of_sum", Mating::one, 1.0},
                        {"mean_term", Mating::one, 1.0},
                        {"window_constant", Mating::one, 0.7},
                        {"recency_term", Mating::one, 0.7},
                        {"sink_term", Mating::one, 0.5},
                        {"column_term", Mating::one, 0.7},
                        {"modulate_term", Mating::one, 1.5},
                        {"drop_guard", Mating::one, 0.5},
                        {"drop_term", Mating::one, 0.5},
                        {"alike_column", Mating::one, 1.5},
                        {"alike_term", Mating::one, 1.5},
                        {"geometric_mean_term", Mating::one, 1.0},
                        {"bounded_column", Mating::one, 0.7}};
    REQUIRE(operators().size() == std::size(rows));
    for (std::size_t i = 0; i < std::size(rows); ++i) {
        CHECK(operators()[i].name == rows[i].name);
        CHECK(operators()[i].mating == rows[i].mating);
        CHECK(operators()[i].weight == rows[i].weight);
    }
}
