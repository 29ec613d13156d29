// SPDX-License-Identifier: MIT
#include "export/expression.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <iterator>

#include "framework/formula/kernels.hpp"

namespace evictlab::exporting {

using formula::Op;

namespace {

bool is_constant(const Term& term) { return term.op == Op::constant; }

bool compares(Op op) { return op == Op::lt || op == Op::le || op == Op::gt || op == Op::ge || op == Op::eq; }

Term constant(double value) { return {Op::constant, value, 0, {}}; }

Term joined(const formula::Node& node, std::vector<Term> operands) {
    const auto value = [&](std::size_t i) { return i < operands.size() ? operands[i].value : 0.0; };
    if (node.op == Op::keep || node.op == Op::drop) return constant(formula::compute(node.op, 0, 0, 0));
    if (node.op == Op::select && is_constant(operands[0])) return std::move(operands[value(0) != 0 ? 1 : 2]);
    if (!operands.empty() && std::ranges::all_of(operands, is_constant))
        return constant(formula::compute(node.op, value(0), value(1), value(2)));
    return {node.op, node.value, node.column, std::move(operands)};
}

} // namespace

Term folded(const formula::Formula& formula) {
    std::vector<Term> stack;
    for (const formula::Node& node : formula.nodes()) {
        const auto first = stack.end() - static_cast<std::ptrdiff_t>(formula::arity(node.op));
        std::vector<Term> operands(std::make_move_iterator(first), std::make_move_iterator(stack.end()));
        stack.erase(first, stack.end());
        stack.push_back(joined(node, std::move(operands)));
    }
    return std::move(stack.back());
}

std::string literal(double value) {
    char buffer[32];
    const auto end = std::to_chars(std::begin(buffer), std::end(buffer), value).ptr;
    std::string text(buffer, end);
    return text.find_first_of(".e") == std::string::npos ? text + ".0" : text;
}

namespace {

bool belongs_to_name(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

void name_columns(const Term& term, std::vector<Variable>& variables) {
    for (const Term& operand : term.operands) name_columns(operand, variables);
    if (term.op != Op::column || std::ranges::count(variables, term.column, &Variable::column) > 0) return;
    std::string name = columns::name(term.column);
    std::ranges::replace_if(
        name, [](char c) { return !belongs_to_name(c); }, '_');
    while (std::ranges::count(variables, name, &Variable::name) > 0) name += "_again"; // a:1=2 and a=1:2
    variables.push_back({term.column, name});
}

} // namespace

std::vector<Variable> variables_of(const Term& term) {
    std::vector<Variable> variables;
    name_columns(term, variables);
    return variables;
}

const std::string& name_of(const std::vector<Variable>& variables, ColumnId column) {
    return std::ranges::find(variables, column, &Variable::column)->name;
}

bool mentions(std::string_view text, std::string_view name) {
    for (std::size_t at = 0; (at = text.find(name, at)) != std::string_view::npos; ++at) {
        const std::size_t end = at + name.size();
        const bool begins = at == 0 || !belongs_to_name(text[at - 1]);
        if (begins && (end == text.size() || !belongs_to_name(text[end]))) return true;
    }
    return false;
}

namespace {

Layout number(double value, const Language& language) {
    if (std::isnan(value)) return Layout(language.not_a_number);
    if (std::isinf(value)) return value > 0 ? Layout(language.keep) : Layout(language.drop, Tie::unary);
    return Layout(literal(value), std::signbit(value) ? Tie::unary : Tie::atom);
}

std::string_view sign_of(Op op) {
    switch (op) {
    case Op::lt:
        return "<";
    case Op::le:
        return "<=";
    case Op::gt:
        return ">";
    case Op::ge:
        return ">=";
    default:
        return "==";
    }
}

Layout comparison(const Term& term, const Language& language) {
    return infix(Tie::comparison, at_least(Tie::sum, lay_out(term.operands[0], language)), sign_of(term.op),
                 at_least(Tie::sum, lay_out(term.operands[1], language)));
}

/// As the language's if takes it.
Layout condition(const Term& term, const Language& language) {
    if (compares(term.op)) return comparison(term, language);
    return infix(Tie::comparison, at_least(Tie::sum, lay_out(term, language)), "!=", Layout("0"));
}

Layout quotient(const Term& term, Layout a, Layout b) {
    const Term& divisor = term.operands[1];
    if (!is_constant(divisor) || divisor.value == 0) return call("divide", {std::move(a), std::move(b)});
    return infix(Tie::product, at_least(Tie::product, std::move(a)), "/", at_least(Tie::unary, std::move(b)));
}

Layout power(const Term& term, Layout a, Layout b, const Language& language) {
    if (is_constant(term.operands[1])) {
        if (auto known = language.known_power(a, term.operands[1].value)) return *std::move(known);
    }
    return call("power", {std::move(a), std::move(b)});
}

Layout of_two(const Term& term, const Language& language) {
    Layout a = lay_out(term.operands[0], language), b = lay_out(term.operands[1], language);
    switch (term.op) {
    case Op::add:
    case Op::sub:
        return infix(Tie::sum, at_least(Tie::sum, std::move(a)), term.op == Op::add ? "+" : "-",
                     at_least(Tie::product, std::move(b)));
    case Op::mul:
        return infix(Tie::product, at_least(Tie::product, std::move(a)), "*", at_least(Tie::unary, std::move(b)));
    case Op::div:
        return quotient(term, std::move(a), std::move(b));
    case Op::pow:
        return power(term, std::move(a), std::move(b), language);
    default:
        return call(term.op == Op::min ? "smaller" : "larger", {std::move(a), std::move(b)});
    }
}

} // namespace

Layout lay_out(const Term& term, const Language& language) {
    const auto operand = [&](std::size_t i) { return lay_out(term.operands[i], language); };
    if (compares(term.op)) return language.truth(comparison(term, language));
    switch (term.op) {
    case Op::constant:
        return number(term.value, language);
    case Op::column:
        return Layout(language.column(term.column));
    case Op::neg: {
        Layout negated("-", Tie::unary);
        negated.parts.push_back(at_least(Tie::atom, operand(0)));
        return negated;
    }
    case Op::exp:
        return call(language.exp, {operand(0)});
    case Op::log:
        return call("logarithm", {operand(0)});
    case Op::sqrt:
        return call("root", {operand(0)});
    case Op::abs:
        return call(language.abs, {operand(0)});
    case Op::tanh:
        return call(language.tanh, {operand(0)});
    case Op::select:
        return language.choice(condition(term.operands[0], language), operand(1), operand(2));
    default:
        return of_two(term, language);
    }
}

} // namespace evictlab::exporting
