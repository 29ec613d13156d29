// From the leaves up, each part with the range of its values. A branch of an if() knows what its condition says of a
// column. SPDX-License-Identifier: MIT
#include "framework/formula/simplified.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <optional>

#include "framework/formula/kernels.hpp"
#include "framework/formula/range.hpp"

namespace evictlab::formula {
namespace {

using Nodes = std::vector<Node>;
using View = std::span<const Node>;
using Known = std::map<ColumnId, Range>; ///< of columns, where more is known than their facts

constexpr double infinity = std::numeric_limits<double>::infinity();

struct Part {
    Nodes nodes;
    Range range;
    Op op() const { return nodes.back().op; }
};
using Parts = std::array<Part, 3>;

Part constant(double value) {
    const Range range = range_of_constant(value);
    if (std::isinf(value)) return {{{.op = value > 0 ? Op::keep : Op::drop}}, range};
    return {{{.op = Op::constant, .value = value}}, range};
}

bool is(const Part& part, double value) {
    return part.op() == Op::constant && part.nodes.back().value == value && !std::signbit(part.nodes.back().value);
}

/// Down to the sign of a zero.
bool same(const Part& a, const Part& b) {
    return std::ranges::equal(a.nodes, b.nodes, [](const Node& x, const Node& y) {
        return x == y && std::signbit(x.value) == std::signbit(y.value);
    });
}

Part joined(Op op, Parts parts) {
    Part part{{}, range_of(op, parts[0].range, parts[1].range, parts[2].range)};
    for (std::size_t k = 0; k < arity(op); ++k)
        part.nodes.insert(part.nodes.end(), parts[k].nodes.begin(), parts[k].nodes.end());
    part.nodes.push_back({.op = op, .length = static_cast<std::uint32_t>(part.nodes.size() + 1)});
    return part;
}

Part operand_of(const Part& negation) {
    Part part{{negation.nodes.begin(), negation.nodes.end() - 1}, {}};
    part.range = range_of(Op::neg, negation.range, {}, {});
    return part;
}

/// Whether `a` has equal values of the same bits where it meets `b` at its end.
bool meet_alike(double end, const Range& a, const Range& b) {
    return end != 0 || (!a.negative_zero && !b.negative_zero);
}

/// The kernels' min is a where a < b or a is NaN, else b.
std::optional<Part> lesser(const Part& a, const Part& b) {
    if (same(a, b)) return a;
    if (!a.range.nan && a.range.low >= b.range.high) return b;
    const bool below = a.range.high < b.range.low;
    if (!b.range.nan && (below || (a.range.high == b.range.low && meet_alike(b.range.low, a.range, b.range)))) return a;
    return std::nullopt;
}

std::optional<Part> larger(const Part& a, const Part& b) {
    if (same(a, b)) return a;
    if (!a.range.nan && a.range.high <= b.range.low) return b;
    const bool above = a.range.low > b.range.high;
    if (!b.range.nan && (above || (a.range.low == b.range.high && meet_alike(b.range.high, a.range, b.range))))
        return a;
    return std::nullopt;
}

bool is_finite(const Range& range) { return !range.nan && range.low > -infinity && range.high < infinity; }

/// One of the operands, or less, that is the result whatever the columns are.
std::optional<Part> shorter(Op op, const Parts& parts) {
    const auto& [a, b, c] = parts;
    switch (op) {
    case Op::neg:
        if (a.op() == Op::neg) return operand_of(a);
        break;
    case Op::abs:
        if (from_zero(a.range) || a.op() == Op::abs) return a;
        if (a.op() == Op::neg) return joined(Op::abs, {operand_of(a)});
        break;
    case Op::add:
        if (is(b, 0) && !a.range.negative_zero) return a;
        if (is(a, 0) && !b.range.negative_zero) return b;
        if (b.op() == Op::neg) return joined(Op::sub, {a, operand_of(b)});
        break;
    case Op::sub:
        if (is(b, 0)) return a;
        if (b.op() == Op::neg) return joined(Op::add, {a, operand_of(b)});
        if (same(a, b) && is_finite(a.range)) return constant(0);
        break;
    case Op::mul:
        if (is(b, 1)) return a;
        if (is(a, 1)) return b;
        break;
    case Op::div:
        if (is(b, 1)) return a;
        if (same(a, b) && is_finite(a.range) && !has_zero(a.range)) return constant(1);
        break;
    case Op::pow:
        if (is(b, 1)) return a;
        break;
    case Op::min:
        return lesser(a, b);
    case Op::max:
        return larger(a, b);
    case Op::lt:
    case Op::gt:
        if (same(a, b)) return constant(0);
        break;
    case Op::le:
    case Op::ge:
    case Op::eq:
        if (same(a, b) && !a.range.nan) return constant(1);
        break;
    case Op::select: {
        const Range& condition = a.range; // NaN is taken for true
        if (!has_zero(condition)) return b;
        if (condition.low == 0 && condition.high == 0 && !condition.nan) return c;
        if (same(b, c)) return b;
        break;
    }
    default:
        break;
    }
    return std::nullopt;
}

/// A power is computed in another way where its exponent is the same for all tokens.
bool varies(const Nodes& nodes) {
    return std::ranges::any_of(nodes, [](const Node& node) {
        return node.op == Op::column && columns::kind(node.column) == ColumnKind::token;
    });
}

void narrow(Known& known, ColumnId column, double low, double high, bool nan) {
    Range& range = known.try_emplace(column, columns::facts(column)).first->second;
    range.low = std::max(range.low, low);
    range.high = std::min(range.high, high);
    range.nan = range.nan && nan;
}

/// `column OP number` is so, or is not; what is not so may be of NaN.
void learn_comparison(Known& known, Op op, ColumnId column, double number, bool so) {
    const double above = std::nextafter(number, infinity), below = std::nextafter(number, -infinity);
    switch (op) {
    case Op::lt:
        return so ? narrow(known, column, -infinity, below, false) : narrow(known, column, number, infinity, true);
    case Op::le:
        return so ? narrow(known, column, -infinity, number, false) : narrow(known, column, above, infinity, true);
    case Op::gt:
        return so ? narrow(known, column, above, infinity, false) : narrow(known, column, -infinity, number, true);
    case Op::ge:
        return so ? narrow(known, column, number, infinity, false) : narrow(known, column, -infinity, below, true);
    case Op::eq:
        if (so) narrow(known, column, number, number, false);
        return;
    default:
        return;
    }
}

Op mirrored(Op op) {
    switch (op) {
    case Op::lt:
        return Op::gt;
    case Op::le:
        return Op::ge;
    case Op::gt:
        return Op::lt;
    case Op::ge:
        return Op::le;
    default:
        return op;
    }
}

/// What a condition says of a column, where it holds or does not.
Known learned(Known known, const Nodes& condition, bool so) {
    const auto is_column = [](const Node& node) { return node.op == Op::column; };
    const auto is_number = [](const Node& node) { return node.op == Op::constant; };
    if (condition.size() == 1 && is_column(condition[0]) && !so) narrow(known, condition[0].column, 0, 0, false);
    if (condition.size() != 3) return known;
    const Op op = condition[2].op;
    if (is_column(condition[0]) && is_number(condition[1]))
        learn_comparison(known, op, condition[0].column, condition[1].value, so);
    else if (is_number(condition[0]) && is_column(condition[1]))
        learn_comparison(known, mirrored(op), condition[1].column, condition[0].value, so);
    return known;
}

Part simplify(View tree, const Known& known);

Part leaf(const Node& node, const Known& known) {
    if (node.op != Op::column) {
        const double value = compute(node.op, node.value, 0, 0);
        return {{node}, range_of_constant(value)};
    }
    const auto found = known.find(node.column);
    return {{node}, found == known.end() ? columns::facts(node.column) : found->second};
}

/// Roots of the operands, first to last.
std::array<View, 3> operands_of(View tree) {
    std::array<View, 3> operands;
    View rest = tree.first(tree.size() - 1);
    for (std::size_t k = arity(tree.back().op); k > 0; --k) {
        const std::size_t length = rest.back().length;
        operands[k - 1] = rest.last(length);
        rest = rest.first(rest.size() - length);
    }
    return operands;
}

Part with_its_value(Part part) {
    const auto value = only_value(part.range);
    return value && part.nodes.size() > 1 ? constant(*value) : part;
}

Part simplify(View tree, const Known& known) {
    const Op op = tree.back().op;
    if (arity(op) == 0) return with_its_value(leaf(tree.back(), known));
    const auto operands = operands_of(tree);
    Parts parts;
    parts[0] = simplify(operands[0], known);
    if (op == Op::select) {
        parts[1] = simplify(operands[1], learned(known, parts[0].nodes, true));
        parts[2] = simplify(operands[2], learned(known, parts[0].nodes, false));
    } else if (arity(op) == 2) {
        parts[1] = simplify(operands[1], known);
        const Nodes exponent(operands[1].begin(), operands[1].end());
        if (op == Op::pow && varies(exponent) && !varies(parts[1].nodes)) parts[1].nodes = exponent;
    }
    if (auto less = shorter(op, parts)) return with_its_value(*std::move(less));
    return with_its_value(joined(op, std::move(parts)));
}

} // namespace

Formula simplified(const Formula& formula) {
    Formula now = formula;
    while (!now.empty()) { // what became shorter may let other parts be so
        Formula next(simplify(now.nodes(), {}).nodes);
        if (next.size() >= now.size()) break;
        now = std::move(next);
    }
    return now;
}

} // namespace evictlab::formula
