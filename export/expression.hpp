// Formulas as expressions of a programming language, laid out over several lines where one is too short.
// SPDX-License-Identifier: MIT
#pragma once
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "framework/formula/formula.hpp"

namespace evictlab::exporting {

/// A formula as a tree in which what does not depend on columns is computed, with the bits that evaluating gives.
struct Term {
    formula::Op op = formula::Op::constant;
    double value = 0; ///< of a constant: not always finite
    ColumnId column = 0;
    std::vector<Term> operands;
};
Term folded(const formula::Formula& formula);

/// How tightly text holds together.
enum class Tie : std::uint8_t { choice, comparison, sum, product, unary, atom };

/// Text that may be broken: `open`, the parts, `close`.
struct Layout {
    Tie tie = Tie::atom;
    std::string sign;          ///< before it, as a part of another: `+ `
    std::string open, close;   ///< of a call: `name(` and `)`
    std::vector<Layout> parts; ///< none: `open` is all

    explicit Layout(std::string text, Tie holds = Tie::atom) : tie(holds), open(std::move(text)) {}
};

Layout call(std::string_view function, std::vector<Layout> arguments);
Layout infix(Tie tie, Layout a, std::string_view sign, Layout b); ///< grows `a` where it is of the same tie
Layout parenthesised(Layout layout);
Layout at_least(Tie tie, Layout layout); ///< in parentheses where it holds less tightly

enum class Commas : std::uint8_t { between, trailing }; ///< of arguments that have lines of their own

/// In lines of 120 characters where that can be done; the first one begins at column `start`, the others are indented
/// by `indent` or more.
std::string write(const Layout& layout, std::size_t start, std::size_t indent, Commas commas);

/// What languages differ in. Everything else is the same in C++ and Python.
struct Language {
    std::function<std::string(ColumnId)> column;
    std::string keep, drop, not_a_number;
    std::string exp, abs, tanh; ///< of the language's library
    std::function<Layout(Layout condition, Layout a, Layout b)> choice;
    std::function<Layout(Layout comparison)> truth; ///< a comparison as a number
    /// A power with a constant exponent; nothing: as any other.
    std::function<std::optional<Layout>(const Layout& base, double exponent)> known_power;
};

/// The operators that are protected are called divide, logarithm, root, power, smaller and larger.
Layout lay_out(const Term& term, const Language& language);

/// A finite number as a literal of floating point that reads back to the same bits.
std::string literal(double value);
/// A variable for each column, as they come: `window_attn_64_pool_5_max`.
struct Variable {
    ColumnId column = 0;
    std::string name;
};
std::vector<Variable> variables_of(const Term& term);
const std::string& name_of(const std::vector<Variable>& variables, ColumnId column);
/// Whether the name stands in the text as a whole word.
bool mentions(std::string_view text, std::string_view name);

} // namespace evictlab::exporting
