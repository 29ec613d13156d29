// A formula means the same wherever it runs, for every constant and column: as its plain meaning, as the program that
// is searched with, in its canonical form, read again from its text, and as a compiled C++ plugin.
// SPDX-License-Identifier: MIT
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <limits>
#include <sstream>

#include "export/exports.hpp"
#include "framework/formula/program.hpp"
#include "framework/plugin/plugin.hpp"
#include "framework/suite/trace.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/process.hpp"
#include "tests/support/random_formula.hpp"
#include "tests/support/temporary_folder.hpp"

using namespace evictlab;
using namespace evictlab::test;
using formula::Formula;
using formula::Op;

namespace {

constexpr std::size_t tokens = 24, rules_of_a_library = 64;
constexpr double numbers[] = {0,      -0.0,    1,      -1,      2,       -2,         3,        0.5,     -0.5,
                              1e308,  -1e308,  1e200,  -1e-200, 5e-324,  -5e-324,    2.3e-308, 1e-310,  7,
                              -0.001, 123.456, 1e16,   0.1,     -3,      1073741823, 1.5,      -1e-310, 2147483648.0,
                              0.25,   -7.5,    1e-300, 9e-16,   709.782, -745.13,    -708.4};

/// Constants that fold to infinities, zeros, subnormal numbers and what is no number; keep and drop are among leaves.
class AwkwardFormulas {
public:
    explicit AwkwardFormulas(std::uint64_t seed) : random_(seed) {}
    Formula next(std::size_t largest) {
        const Formula formula = random_.next(largest);
        std::vector<double> constants = formula.constants();
        for (double& constant : constants) constant = number();
        return formula.with_constants(constants);
    }
    double number() { return numbers[random_.below(std::size(numbers))]; }

private:
    testing::RandomFormulas random_;
};

/// Values of a formula's columns, any of them.
std::vector<std::vector<double>> awkward_columns(const Formula& formula, AwkwardFormulas& random) {
    std::vector<std::vector<double>> columns(formula.columns().size());
    for (auto& column : columns) {
        column.resize(padded(tokens));
        for (double& value : column) value = random.number();
    }
    return columns;
}

/// Infinite or zero together, of one sign, and else equal to rounding.
bool agree(double a, double b) {
    if (a == b) return true;
    if (!std::isfinite(a) || !std::isfinite(b)) return false;
    return std::fabs(a - b) <= 1e-10 * std::max(std::fabs(a), std::fabs(b)) + 1e-315;
}

std::vector<double> plain(const Formula& formula, const std::vector<std::vector<double>>& columns) {
    std::vector<double> scores, values(columns.size());
    for (std::size_t i = 0; i < tokens; ++i) {
        for (std::size_t c = 0; c < columns.size(); ++c) values[c] = columns[c][i];
        scores.push_back(evaluate_one(formula, values));
    }
    return scores;
}

std::vector<double> fast(const Formula& formula, const std::vector<std::vector<double>>& columns) {
    const formula::Program program(formula);
    std::vector<formula::ColumnView> views;
    for (const auto& column : columns) views.push_back({column.data(), false});
    formula::Workspace workspace;
    std::vector<double> scores(padded(tokens));
    program.evaluate(views, program.constants(), tokens, scores.data(), workspace);
    scores.resize(tokens);
    return scores;
}

/// Tokens whose scores say nothing: where two ways of rounding exp, log, tanh and powers tell a comparison apart.
bool rounding_decides(double plain_score, double fast_score) { return !agree(plain_score, fast_score); }

bool exact(const Formula& formula) {
    return std::ranges::none_of(formula.nodes(), [](const formula::Node& node) {
        return node.op == Op::exp || node.op == Op::log || node.op == Op::tanh || node.op == Op::pow;
    });
}

/// The exported sources as the rules of one library, without what only a whole file may have.
std::string library_source(const std::vector<Formula>& formulas) {
    std::string source = "#include <evictlab/scorer.hpp>\n#include <cmath>\n#include <limits>\n", rules;
    for (std::size_t f = 0; f < formulas.size(); ++f) {
        std::istringstream text(exporting::cpp_plugin({"mine", formulas[f], {}}, "0"));
        source += fmt::format("namespace formula_{} {{\n", f);
        for (std::string line; std::getline(text, line);)
            if (!line.starts_with("#include") && !line.starts_with("EVICTLAB_SCORER")) source += line + "\n";
        source += "}\n";
        rules += fmt::format("{}formula_{}::Mine", f > 0 ? ", " : "", f);
    }
    return source + "EVICTLAB_SCORER(" + rules + ")\n";
}

std::shared_ptr<const Plugin> compiled(const TemporaryFolder& folder, const std::vector<Formula>& formulas) {
    std::ofstream(folder / "mine.cpp") << library_source(formulas);
    const Outcome built =
        shell(fmt::format("'{}' -std=c++20 -O1 -fPIC -shared -fvisibility=hidden -ffp-contract=off "
                          "-fno-trapping-math -fno-math-errno -Wall -Wextra -Werror -I '{}/framework/include' mine.cpp "
                          "-o mine.so",
                          EVICTLAB_CXX_COMPILER, EVICTLAB_SOURCE_DIR),
              folder.path.string());
    INFO(built.err.substr(0, 4000));
    REQUIRE(built.code == 0);
    return Plugin::load(folder / "mine.so");
}

std::vector<double> of_plugin(const Plugin& rule, const Formula& formula,
                              const std::vector<std::vector<double>>& columns) {
    const auto known = formula.columns();
    std::vector<const double*> pointers;
    std::vector<std::ptrdiff_t> strides;
    for (const ColumnId id : rule.columns()) {
        pointers.push_back(columns[static_cast<std::size_t>(std::ranges::find(known, id) - known.begin())].data());
        strides.push_back(static_cast<std::ptrdiff_t>(tokens));
    }
    const evl_batch batch{sizeof(evl_batch), 0, 1, 1,       tokens, tokens, pointers.data(),
                          strides.data(),    0, 0, nullptr, 0,      nullptr};
    std::vector<double> scores(tokens);
    rule.create({})->score(batch, scores.data());
    return scores;
}

} // namespace

TEST_CASE("programs mean what formulas mean, for constants and columns of every kind") {
    AwkwardFormulas random(21);
    std::size_t compared = 0, undecided = 0;
    for (int i = 0; i < 6000; ++i) {
        const Formula formula = random.next(17);
        const auto columns = awkward_columns(formula, random);
        const auto meant = plain(formula, columns), got = fast(formula, columns);
        for (std::size_t t = 0; t < tokens; ++t) {
            ++compared;
            if (agree(meant[t], got[t])) continue;
            if (exact(formula)) FAIL(print(formula) << "\ntoken " << t << ": " << got[t] << ", meant " << meant[t]);
            ++undecided;
        }
    }
    INFO(undecided << " of " << compared);
    CHECK(undecided * 200 < compared);
}

TEST_CASE("a formula read again from its text is the formula") {
    AwkwardFormulas random(22);
    for (int i = 0; i < 6000; ++i) {
        const Formula formula = random.next(25);
        const Formula again = formula::parse(print(formula));
        if (!(again == formula)) FAIL(print(formula) << "\nread as " << print(again));
        for (std::size_t c = 0; c < formula.constants().size(); ++c)
            CHECK(std::signbit(again.constants()[c]) == std::signbit(formula.constants()[c]));
    }
}

TEST_CASE("exported plugins mean what formulas mean, for constants and columns of every kind") {
    AwkwardFormulas random(23);
    std::size_t compared = 0, undecided = 0;
    for (int library = 0; library < 3; ++library) {
        std::vector<Formula> formulas;
        if (library == 0)
            for (const char* text : {"0",
                                     "keep",
                                     "drop",
                                     "keep - keep",
                                     "position/0",
                                     "position/-0",
                                     "0/position",
                                     "position/keep",
                                     "(keep - keep)^0 + position",
                                     "(position*keep)^0",
                                     "1^(position*keep)",
                                     "position^(keep - keep)",
                                     "min(position*keep, 3)",
                                     "max(3, position*keep)",
                                     "if(position*keep, position, 2)",
                                     "(position*keep) == (position*keep)",
                                     "position^keep",
                                     "position^drop",
                                     "keep^position",
                                     "drop^position",
                                     "drop^3",
                                     "(-position)^0.5",
                                     "position^-1",
                                     "position^-2",
                                     "position^(1/0)",
                                     "exp(position*1e300)",
                                     "log(position*-1e300)",
                                     "log(0*keep + position)",
                                     "tanh(position*keep)",
                                     "sqrt(-position) + sqrt(keep)",
                                     "abs(drop) + position",
                                     "1e-300*1e-300*position",
                                     "position < keep",
                                     "position >= drop",
                                     "-(-0)*position",
                                     "1/(position*1e-320)"})
                formulas.push_back(formula::parse(text));
        while (formulas.size() < rules_of_a_library) formulas.push_back(random.next(15));
        const TemporaryFolder folder;
        const auto rules = compiled(folder, formulas)->rules();
        REQUIRE(rules.size() == formulas.size());
        for (std::size_t f = 0; f < formulas.size(); ++f)
            for (int round = 0; round < 3; ++round) {
                const auto columns = awkward_columns(formulas[f], random);
                const auto meant = plain(formulas[f], columns), as_program = fast(formulas[f], columns);
                const auto got = of_plugin(*rules[f], formulas[f], columns);
                for (std::size_t t = 0; t < tokens; ++t) {
                    ++compared;
                    if (rounding_decides(meant[t], as_program[t])) {
                        ++undecided;
                        continue;
                    }
                    const bool same = exact(formulas[f]) ? got[t] == as_program[t] : agree(got[t], as_program[t]);
                    if (!same)
                        FAIL(print(formulas[f]) << "\ntoken " << t << ": " << got[t] << ", meant " << meant[t] << "\n"
                                                << exporting::cpp_plugin({"mine", formulas[f], {}}, "0"));
                }
            }
    }
    INFO(undecided << " of " << compared);
    CHECK(undecided * 50 < compared);
}

TEST_CASE("canonical forms mean what formulas mean, where no sum or product passes the largest double on its way") {
    AwkwardFormulas random(24);
    for (int i = 0; i < 20000; ++i) {
        const Formula formula = random.next(9);
        // Sums and products of three or more are grouped anew: what overflows in one order need not in another.
        const auto nodes = formula.nodes();
        const auto chains = [](Op op) { return op == Op::add || op == Op::sub || op == Op::neg || op == Op::mul; };
        const auto count = std::ranges::count_if(nodes, [&](const formula::Node& node) { return chains(node.op); });
        if (count > 1) continue;
        const Formula other = canonical(formula);
        const auto columns = awkward_columns(formula, random);
        const auto known = formula.columns();
        std::vector<std::vector<double>> others;
        for (const ColumnId id : other.columns())
            others.push_back(columns[static_cast<std::size_t>(std::ranges::find(known, id) - known.begin())]);
        const auto meant = fast(formula, columns), got = fast(other, others);
        for (std::size_t t = 0; t < tokens; ++t)
            if (!agree(meant[t], got[t]))
                FAIL(print(formula) << "\nin its canonical form " << print(other) << "\ntoken " << t << ": " << got[t]
                                    << ", meant " << meant[t]);
    }
}
