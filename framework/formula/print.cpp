// Formula to text: the shortest that parses back to the same nodes. No recursion, so any depth prints.
// SPDX-License-Identifier: MIT
#include <algorithm>
#include <charconv>
#include <cmath>

#include "framework/formula/spelling.hpp"

namespace evictlab::formula {
namespace {

struct Text {
    std::string text;
    Binding binding = Binding::atom;
    Op op = Op::constant;
};

std::string number(double value) {
    char buffer[32];
    const auto result = std::to_chars(std::begin(buffer), std::end(buffer), value);
    return {buffer, result.ptr};
}

std::string between(std::string_view before, const std::string& text, std::string_view after) {
    std::string joined(before);
    joined += text;
    joined += after;
    return joined;
}

std::string operand(Text&& text, Binding wanted) {
    return text.binding >= wanted ? std::move(text.text) : between("(", text.text, ")");
}

std::string_view spelled(Op op) {
    for (const Spelling& function : functions) {
        if (function.op == op) return function.text;
    }
    return op == Op::keep ? "keep" : "drop";
}

Text leaf(const Node& node) {
    switch (node.op) {
    case Op::constant:
        return {number(node.value), std::signbit(node.value) ? Binding::unary : Binding::atom, node.op};
    case Op::column:
        return {columns::name(node.column), Binding::atom, node.op};
    default:
        return {std::string(spelled(node.op)), Binding::atom, node.op};
    }
}

Text one_operand(Op op, Text&& a) {
    if (op != Op::neg) return {std::string(spelled(op)) + between("(", a.text, ")"), Binding::atom, op};
    // -2 is a constant: the negation of 2 is -(2).
    if (a.op == Op::constant && a.binding == Binding::atom) return {between("-(", a.text, ")"), Binding::unary, op};
    return {between("-", operand(std::move(a), Binding::unary), ""), Binding::unary, op};
}

Text infix(Op op, std::string_view symbol, Text&& a, Text&& b, Binding binding, Binding left, Binding right) {
    std::string text = operand(std::move(a), left);
    text += symbol;
    text += operand(std::move(b), right);
    return {std::move(text), binding, op};
}

Text two_operands(Op op, Text&& a, Text&& b) {
    using enum Binding;
    switch (op) {
    case Op::add:
        return infix(op, " + ", std::move(a), std::move(b), sum, sum, product);
    case Op::sub:
        return infix(op, " - ", std::move(a), std::move(b), sum, sum, product);
    case Op::mul:
        return infix(op, "*", std::move(a), std::move(b), product, product, unary);
    case Op::div:
        return infix(op, "/", std::move(a), std::move(b), product, product, unary);
    case Op::pow:
        return infix(op, "^", std::move(a), std::move(b), power, atom, unary);
    case Op::min:
    case Op::max: {
        std::string text = std::move(a.text); // min(min(a, b), c) is min(a, b, c)
        if (a.op == op)
            text.pop_back();
        else
            text.insert(0, std::string(spelled(op)) + "(");
        text += ", " + b.text + ")";
        return {std::move(text), atom, op};
    }
    default:
        for (const Spelling& each : comparisons) {
            if (each.op != op) continue;
            return infix(op, between(" ", std::string(each.text), " "), std::move(a), std::move(b), comparison, sum,
                         sum);
        }
        throw Error("formula: cannot print an operator that does not exist");
    }
}

} // namespace

std::string print(const Formula& formula) {
    std::vector<Text> stack;
    const auto pop = [&] {
        Text top = std::move(stack.back());
        stack.pop_back();
        return top;
    };
    for (const Node& node : formula.nodes()) {
        const std::size_t operands = arity(node.op);
        if (operands == 0) {
            stack.push_back(leaf(node));
        } else if (operands == 1) {
            stack.push_back(one_operand(node.op, pop()));
        } else if (operands == 2) {
            Text b = pop();
            stack.push_back(two_operands(node.op, pop(), std::move(b)));
        } else {
            const Text c = pop();
            const Text b = pop();
            const Text a = pop();
            stack.push_back({"if(" + a.text + ", " + b.text + ", " + c.text + ")", Binding::atom, node.op});
        }
    }
    return stack.empty() ? std::string() : std::move(stack.back().text);
}

} // namespace evictlab::formula
