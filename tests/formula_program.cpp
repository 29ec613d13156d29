// Compiled formulas against their plain meaning: random formulas, both kinds of columns, any number of tokens.
// SPDX-License-Identifier: MIT
#include "framework/formula/program.hpp"

#include <cmath>
#include <cstring>
#include <limits>

#include "framework/formula/kernels.hpp"
#include "framework/suite/trace.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/random_formula.hpp"

using namespace evictlab;
using namespace evictlab::formula;

namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();
constexpr double not_a_number = std::numeric_limits<double>::quiet_NaN();

bool close(double a, double b, double tolerance) {
    if (a == b || (std::isnan(a) && std::isnan(b))) return true;
    return std::fabs(a - b) <= tolerance * std::max(std::fabs(a), std::fabs(b)) + 1e-320;
}

std::uint64_t bits(double x) {
    std::uint64_t result;
    std::memcpy(&result, &x, sizeof x);
    return result;
}

/// The columns of a formula, filled with values of all sizes.
struct Batch {
    std::vector<std::vector<double>> columns;
    std::vector<ColumnView> views;
    std::size_t n;

    Batch(const Formula& formula, std::size_t tokens, testing::RandomFormulas& random, bool extreme) : n(tokens) {
        for ([[maybe_unused]] const ColumnId id : formula.columns()) {
            const bool uniform = random.below(4) == 0;
            std::vector<double> values(padded(n));
            for (double& value : values) value = extreme ? random.constant() : 3 * random.uniform() - 0.5;
            columns.push_back(std::move(values));
            views.push_back({nullptr, uniform});
        }
        for (std::size_t i = 0; i < columns.size(); ++i) views[i].data = columns[i].data();
    }
    std::vector<double> token(std::size_t i) const {
        std::vector<double> values;
        for (std::size_t k = 0; k < columns.size(); ++k) values.push_back(columns[k][views[k].uniform ? 0 : i]);
        return values;
    }
};

std::vector<double> run(const Program& program, const Batch& batch, std::span<const double> constants) {
    static Workspace workspace;
    std::vector<double> out(padded(batch.n));
    program.evaluate(batch.views, constants, batch.n, out.data(), workspace);
    return out;
}

/// Operators whose result jumps or magnifies rounding are compared only where all below them is exact.
bool only_exact_operators(const Formula& formula) {
    for (const Node& node : formula.nodes()) {
        if (node.op == Op::exp || node.op == Op::log || node.op == Op::tanh || node.op == Op::pow) return false;
    }
    return true;
}

} // namespace

TEST_CASE("formulas of exact operators give the bits of their plain meaning") {
    testing::RandomFormulas random(1);
    int checked = 0;
    while (checked < 20000) {
        const Formula formula = random.next(25);
        if (!only_exact_operators(formula)) continue;
        ++checked;
        const Program program(formula);
        const Batch batch(formula, 1 + random.below(20), random, random.below(2) == 0);
        const auto scores = run(program, batch, program.constants());
        for (std::size_t i = 0; i < batch.n; ++i) {
            const double expected = evaluate_one(formula, batch.token(i));
            if (scores[i] != expected)
                FAIL(print(formula) << "\ntoken " << i << ": " << scores[i] << " != " << expected);
        }
    }
}

TEST_CASE("an instruction on exact operands is within 1e-13 (a power within 2e-13) of its plain meaning") {
    testing::RandomFormulas random(2);
    static constexpr Op ops[] = {Op::exp, Op::log, Op::tanh, Op::pow, Op::sqrt};
    const ColumnId x = columns::intern("position");
    const ColumnId y = columns::intern("key_norm");
    double worst[256] = {};
    for (int i = 0; i < 4000; ++i) {
        const Op op = ops[random.below(std::size(ops))];
        std::vector<Node> nodes{{.op = Op::column, .column = x}};
        if (op == Op::pow) {
            if (random.below(2) == 0)
                nodes.push_back({.op = Op::column, .column = y});
            else
                nodes.push_back({.op = Op::constant, .value = random.constant()});
        }
        nodes.push_back({.op = op});
        const Formula formula(nodes);
        const Program program(formula);
        Batch batch(formula, 100, random, random.below(4) != 0);
        for (auto& column : batch.columns) {
            for (double& value : column) {
                if (random.below(50) == 0) value = random.below(2) == 0 ? infinity : -infinity;
                if (random.below(2) == 0) value = std::trunc(value);
                if (random.below(2) == 0) value = std::ldexp(value, static_cast<int>(random.below(20)));
            }
        }
        const auto scores = run(program, batch, program.constants());
        for (std::size_t k = 0; k < batch.n; ++k) {
            const double expected = evaluate_one(formula, batch.token(k));
            if (!close(scores[k], expected, op == Op::pow ? 2e-13 : 1e-13)) {
                FAIL(print(formula) << " at " << Catch::Detail::stringify(batch.token(k)) << ": " << scores[k]
                                    << " != " << expected);
            }
            if (scores[k] == expected || std::fabs(expected) < 1e-300 || std::isinf(expected)) continue;
            double& error = worst[static_cast<std::size_t>(op)];
            error = std::max(error, std::fabs(scores[k] / expected - 1));
        }
    }
    for (const Op op : ops) UNSCOPED_INFO("worst relative error of operator " << int(op) << ": " << worst[size_t(op)]);
    CHECK(worst[static_cast<std::size_t>(Op::exp)] < 1e-15);
    CHECK(worst[static_cast<std::size_t>(Op::log)] < 1e-15);
    CHECK(worst[static_cast<std::size_t>(Op::tanh)] < 2e-15);
    CHECK(worst[static_cast<std::size_t>(Op::pow)] < 2e-13);
}

TEST_CASE("scores do not depend on how a batch is cut or on which columns are told to be uniform") {
    testing::RandomFormulas random(3);
    for (int i = 0; i < 5000; ++i) {
        const Formula formula = random.next(40);
        const Program program(formula);
        Batch batch(formula, 1 + random.below(700), random, random.below(2) == 0);
        for (std::size_t k = 0; k < batch.views.size(); ++k) {
            if (batch.views[k].uniform)
                std::fill(batch.columns[k].begin(), batch.columns[k].end(), batch.columns[k][0]);
        }
        const auto whole = run(program, batch, program.constants());
        const std::size_t from = random.below(batch.n) / row_padding * row_padding;
        Batch part = batch;
        part.n = batch.n - from;
        bool uniform_exponent = false; // computed in another way, to the same accuracy
        for (const Node& node : formula.nodes()) uniform_exponent = uniform_exponent || node.op == Op::pow;
        for (std::size_t k = 0; k < part.views.size(); ++k) {
            part.views[k].data = part.columns[k].data() + (batch.views[k].uniform ? 0 : from);
            if (batch.views[k].uniform && !uniform_exponent) part.views[k] = {part.columns[k].data() + from, false};
        }
        const auto cut = run(program, part, program.constants());
        for (std::size_t t = 0; t < part.n; ++t) {
            if (bits(cut[t]) != bits(whole[from + t])) {
                FAIL(print(formula) << "\n" << cut[t] << " != " << whole[from + t] << " at " << from + t);
            }
        }
    }
}

TEST_CASE("every processor gives these bits") {
    std::uint64_t digest = 0;
    testing::RandomFormulas random(4);
    for (int i = 0; i < 2000; ++i) {
        const Formula formula = random.next(30);
        const Program program(formula);
        const Batch batch(formula, 37, random, i % 2 == 0);
        const auto scores = run(program, batch, program.constants());
        for (std::size_t k = 0; k < batch.n; ++k) digest = digest * 6364136223846793005u + bits(scores[k] + 0.0);
    }
    CHECK(digest == 0xce1dc62941abdf57u);
}

TEST_CASE("constants may be replaced without compiling again") {
    testing::RandomFormulas random(6);
    for (int i = 0; i < 3000; ++i) {
        const Formula formula = random.next(25);
        std::vector<double> constants = formula.constants();
        for (double& constant : constants) constant = random.constant();
        const Program compiled(formula);
        const Formula other = formula.with_constants(constants);
        const Program recompiled(other);
        const Batch batch(formula, 13, random, true);
        const auto a = run(compiled, batch, constants);
        const auto b = run(recompiled, batch, recompiled.constants());
        for (std::size_t k = 0; k < batch.n; ++k) {
            if (bits(a[k]) != bits(b[k])) FAIL(print(other));
        }
    }
    const Formula twice = parse("2*position + 2*position");
    const Program program(twice);
    Batch batch(twice, 1, random, false);
    batch.columns[0][0] = 1;
    batch.views[0].uniform = false;
    CHECK(run(program, batch, std::vector{3.0, 5.0})[0] == 8);
}

TEST_CASE("operators are protected where their domain ends") {
    const auto value = [](const std::string& text) {
        const Formula formula = parse(text);
        Workspace workspace;
        double out[8];
        const Program program(formula);
        program.evaluate({}, program.constants(), 1, out, workspace);
        CHECK(close(out[0], evaluate_one(formula, {}), 1e-14));
        return out[0];
    };
    CHECK(value("1/0") == 0);
    CHECK(value("0/0") == 0);
    CHECK(value("log(0)") == Approx(-708.3964185322641));
    CHECK(value("log(-1)") == value("log(0)"));
    CHECK(value("sqrt(-4)") == 0);
    CHECK(value("0^-1") == 0);
    CHECK(value("0^-0.5") == 0);
    CHECK(value("0^0") == 1);
    CHECK(value("(-8)^(1/2)") == Approx(std::sqrt(8.0)));
    CHECK(value("(-2)^3") == -8);
    CHECK(value("(-2)^5") == Approx(-32));
    CHECK(value("(-2)^4") == Approx(16));
    CHECK(value("exp(1000)") == infinity);
    CHECK(value("exp(-1000)") == 0);
    CHECK(value("keep - keep") == -infinity);
    CHECK(value("if(1 < 2, keep, 0)") == infinity);
    CHECK(value("if(0, keep, drop)") == -infinity);
    CHECK(value("min(0*keep, 1)") == -infinity);
    CHECK(value("min(1, 0*keep)") == -infinity);
    CHECK(value("(2 == 2) + (1 >= 2) + (3 > 2)") == 2);
}

TEST_CASE("scores are never NaN, and hold for NaN columns") {
    testing::RandomFormulas random(8);
    for (int i = 0; i < 2000; ++i) {
        const Formula formula = random.next(20);
        const Program program(formula);
        Batch batch(formula, 10, random, true);
        for (auto& column : batch.columns) {
            for (double& v : column) v = random.below(3) == 0 ? not_a_number : random.below(3) == 0 ? infinity : v;
        }
        for (const double score : run(program, batch, program.constants())) {
            if (std::isnan(score)) FAIL(print(formula));
        }
    }
}

TEST_CASE("canonical forms score as the formula does") {
    testing::RandomFormulas random(9);
    std::size_t compared = 0;
    std::size_t apart = 0;
    for (int i = 0; i < 20000; ++i) {
        const Formula formula = random.next(15);
        const Formula other = canonical(formula);
        const Batch batch(formula, 1, random, false);
        const auto all = formula.columns();
        std::vector<double> values;
        for (const ColumnId id : other.columns()) {
            const auto at = static_cast<std::size_t>(std::find(all.begin(), all.end(), id) - all.begin());
            values.push_back(batch.token(0)[at]);
        }
        ++compared;
        apart += !close(evaluate_one(formula, batch.token(0)), evaluate_one(other, values), 1e-6);
    }
    // Comparisons of sums that cancel, and sums that overflow on the way, may tell the two apart.
    INFO(apart << " of " << compared);
    CHECK(apart < compared / 200);
}

TEST_CASE("wrong numbers of columns or constants are refused") {
    const Program program(parse("2*position"));
    Workspace workspace;
    double out[8];
    CHECK_THROWS_AS(program.evaluate({}, program.constants(), 1, out, workspace), Error);
    CHECK_THROWS_AS(Program(Formula()), Error);
}
