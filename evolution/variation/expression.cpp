// SPDX-License-Identifier: MIT
#include "evolution/variation/expression.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <initializer_list>

namespace evictlab::evolution {
namespace {

Formula joined(Op op, std::initializer_list<const Formula*> parts) {
    std::vector<formula::Node> nodes;
    for (const Formula* part : parts) nodes.insert(nodes.end(), part->nodes().begin(), part->nodes().end());
    nodes.push_back({.op = op});
    return Formula(std::move(nodes));
}

} // namespace

double tidy(double value) {
    if (!std::isfinite(value)) return 0;
    value = std::clamp(value, -1e9, 1e9);
    if (std::abs(value) < 1e-9) return 0;
    char text[32];
    const auto end = fmt::format_to_n(text, sizeof text, "{:.4g}", value).out;
    std::from_chars(text, end, value);
    return value;
}

double size_of(double constant) { return constant == 0 ? 0.02 : std::abs(constant); }

Formula constant(double value) { return Formula({{.op = Op::constant, .value = tidy(value)}}); }
Formula column(ColumnId id) { return Formula({{.op = Op::column, .column = id}}); }
Formula column(std::string_view name) { return column(columns::intern(name)); }
Formula apply(Op op, const Formula& operand) { return joined(op, {&operand}); }
Formula apply(Op op, const Formula& first, const Formula& second) { return joined(op, {&first, &second}); }
Formula apply(Op op, const Formula& first, const Formula& second, const Formula& third) {
    return joined(op, {&first, &second, &third});
}

std::vector<std::size_t> operands(const Formula& formula, std::size_t root) {
    std::vector<std::size_t> roots(arity(formula.nodes()[root].op));
    std::size_t next = root;
    for (auto it = roots.rbegin(); it != roots.rend(); ++it) {
        *it = next - 1;
        next = formula.subtree_begin(*it);
    }
    return roots;
}

std::size_t body_root(const Formula& formula) {
    std::size_t root = formula.size() - 1;
    while (formula.nodes()[root].op == Op::select) {
        const auto parts = operands(formula, root);
        root = formula.nodes()[parts[2]].length > 1 ? parts[2] : parts[1];
    }
    return root;
}

std::vector<std::size_t> term_roots(const Formula& formula, std::size_t root) {
    std::vector<std::size_t> terms;
    std::vector<std::size_t> open{root};
    while (!open.empty()) {
        const std::size_t at = open.back();
        open.pop_back();
        const Op op = formula.nodes()[at].op;
        if (op != Op::add && op != Op::sub && op != Op::neg) {
            terms.push_back(at);
            continue;
        }
        for (const std::size_t operand : operands(formula, at)) open.push_back(operand);
    }
    std::sort(terms.begin(), terms.end());
    return terms;
}

std::vector<std::size_t> nodes_of(const Formula& formula, Op op) {
    std::vector<std::size_t> found;
    for (std::size_t i = 0; i < formula.size(); ++i)
        if (formula.nodes()[i].op == op) found.push_back(i);
    return found;
}

Formula replaced(const Formula& formula, std::size_t root, const Formula& by) {
    return formula.with_subtree(root, by.nodes());
}

Formula with_term(const Formula& formula, const Formula& term) {
    const std::size_t body = body_root(formula);
    return replaced(formula, body, apply(Op::add, formula.subtree(body), term));
}

Formula scaled(const Formula& formula, std::size_t root, double factor) {
    const auto& node = formula.nodes()[root];
    if (node.op == Op::constant) return replaced(formula, root, constant(node.value * factor));
    if (node.op == Op::mul)
        for (const std::size_t operand : operands(formula, root))
            if (formula.nodes()[operand].op == Op::constant)
                return replaced(formula, operand, constant(formula.nodes()[operand].value * factor));
    return replaced(formula, root, apply(Op::mul, constant(factor), formula.subtree(root)));
}

std::string brief(const Formula& formula) {
    constexpr std::size_t longest = 60;
    std::string text = print(formula);
    if (text.size() <= longest) return text;
    return text.substr(0, longest / 2) + " ... " + text.substr(text.size() - longest / 3);
}

} // namespace evictlab::evolution
