// What each operator means, in the plainest scalar arithmetic and the C library's functions, protected where its domain
// ends: the definition that the fast kernels are held to. docs/formulas.md has the table for users.
// SPDX-License-Identifier: MIT
#include <cmath>
#include <limits>

#include "framework/formula/program.hpp"

namespace evictlab::formula {
namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();

double power(double a, double b) {
    if (std::isnan(a) || std::isnan(b)) return a + b;
    if (a == 0 && b < 0) return 0; // a division by zero
    if (a < 0 && std::isfinite(b) && b != std::trunc(b)) a = -a;
    return std::pow(a, b);
}

double apply(Op op, double a, double b, double c) {
    switch (op) {
    case Op::constant:
    case Op::column:
        return a;
    case Op::keep:
        return infinity;
    case Op::drop:
        return -infinity;
    case Op::neg:
        return -a;
    case Op::exp:
        return std::exp(a);
    case Op::log:
        return std::log(a < std::numeric_limits<double>::min() ? std::numeric_limits<double>::min() : a);
    case Op::sqrt:
        return a < 0 ? 0 : std::sqrt(a);
    case Op::abs:
        return std::fabs(a);
    case Op::tanh:
        return std::tanh(a);
    case Op::add:
        return a + b;
    case Op::sub:
        return a - b;
    case Op::mul:
        return a * b;
    case Op::div:
        return b == 0 ? 0 : a / b;
    case Op::pow:
        return power(a, b);
    case Op::min:
        return a < b || std::isnan(a) ? a : b; // NaN if either is
    case Op::max:
        return a > b || std::isnan(a) ? a : b;
    case Op::lt:
        return a < b ? 1 : 0;
    case Op::le:
        return a <= b ? 1 : 0;
    case Op::gt:
        return a > b ? 1 : 0;
    case Op::ge:
        return a >= b ? 1 : 0;
    case Op::eq:
        return a == b ? 1 : 0;
    case Op::select:
        return a != 0 ? b : c;
    }
    throw Error("formula: node with an operator that does not exist");
}

} // namespace

double evaluate_one(const Formula& formula, std::span<const double> values) {
    const std::vector<ColumnId> columns = formula.columns();
    if (values.size() != columns.size()) {
        throw Error("formula: " + std::to_string(values.size()) + " values for " + std::to_string(columns.size()) +
                    " columns");
    }
    const auto value_of = [&](ColumnId id) {
        std::size_t i = 0;
        while (columns[i] != id) ++i;
        return values[i];
    };
    std::vector<double> stack;
    for (const Node& node : formula.nodes()) {
        double operands[3] = {node.op == Op::column ? value_of(node.column) : node.value, 0, 0};
        for (std::size_t k = arity(node.op); k > 0; --k) {
            operands[k - 1] = stack.back();
            stack.pop_back();
        }
        stack.push_back(apply(node.op, operands[0], operands[1], operands[2]));
    }
    if (stack.empty()) throw Error("formula: an empty formula has no value");
    return std::isnan(stack.back()) ? -infinity : stack.back();
}

} // namespace evictlab::formula
