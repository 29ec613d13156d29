// One representative for formulas that are equal by algebra's plainest rules. Sums are sorted lists of signed terms,
// products a coefficient and sorted factors; the sign of a product lives in its coefficient.
// SPDX-License-Identifier: MIT
#include <algorithm>
#include <cmath>

#include "base/digest/digest.hpp"
#include "framework/formula/kernels.hpp"

namespace evictlab::formula {
namespace {

using Nodes = std::vector<Node>; // in postfix order, with lengths set
using View = std::span<const Node>;

Op op_of(View tree) { return tree.back().op; }
bool is_number(View tree) { return op_of(tree) == Op::constant; }
bool is_value(View tree) { return is_number(tree) || op_of(tree) == Op::keep || op_of(tree) == Op::drop; }
double value_of(View tree) { return compute(op_of(tree), tree.back().value, 0, 0); }
bool is_sum(Op op) { return op == Op::add || op == Op::sub || op == Op::neg; }

Nodes constant(double value) { return {{.op = Op::constant, .value = value == 0 ? 0 : value}}; }
Nodes from_value(double value) {
    if (std::isinf(value)) return {{.op = value > 0 ? Op::keep : Op::drop}};
    return constant(value);
}

View last_operand(View tree) {
    const std::size_t length = tree[tree.size() - 2].length;
    return tree.subspan(tree.size() - 1 - length, length);
}
View first_of_two(View tree) { return tree.first(tree.size() - 1 - last_operand(tree).size()); }

Nodes join(Op op, View a, View b = {}, View c = {}) {
    Nodes nodes;
    nodes.reserve(a.size() + b.size() + c.size() + 1);
    for (const View each : {a, b, c}) nodes.insert(nodes.end(), each.begin(), each.end());
    nodes.push_back({.op = op, .length = static_cast<std::uint32_t>(nodes.size() + 1)});
    return nodes;
}

/// A total order that is the same on every machine: columns by name, as their numbers differ from run to run.
int compare(View a, View b) {
    if (a.size() != b.size()) return a.size() < b.size() ? -1 : 1;
    for (std::size_t i = 0; i < a.size(); ++i) {
        if (a[i].op != b[i].op) return a[i].op < b[i].op ? -1 : 1;
        if (a[i].value != b[i].value) return a[i].value < b[i].value ? -1 : 1;
        if (a[i].column != b[i].column) return columns::name(a[i].column) < columns::name(b[i].column) ? -1 : 1;
    }
    return 0;
}
bool before(View a, View b) { return compare(a, b) < 0; }
bool same(View a, View b) { return compare(a, b) == 0; }

/// The constants folded into one by `op` where that is a finite number of full precision; else as they were, sorted.
std::vector<double> fold(std::vector<double> values, Op op, double neutral) {
    const bool has_zero = std::find(values.begin(), values.end(), 0.0) != values.end();
    std::erase(values, neutral);
    std::sort(values.begin(), values.end());
    double folded = neutral;
    for (const double value : values) folded = compute(op, folded, value, 0);
    if (folded == neutral) return {};
    const bool full = std::isnormal(folded) || (folded == 0 && has_zero);
    return full ? std::vector{folded} : values;
}

Nodes canonical_nodes(View tree);

struct Term {
    bool negative = false;
    Nodes body; ///< neither a negation, nor a negative constant, nor a product with a negative coefficient
};

/// Of a canonical product, its leftmost factor: the coefficient if it has one.
Node* coefficient(Nodes& tree) {
    if (op_of(tree) != Op::mul || tree.front().op != Op::constant) return nullptr;
    View left = tree;
    while (op_of(left) == Op::mul) left = first_of_two(left);
    return left.size() == 1 ? &tree.front() : nullptr;
}

Term split_sign(Nodes tree) {
    if (op_of(tree) == Op::neg) return {true, Nodes(tree.begin(), tree.end() - 1)};
    if (op_of(tree) == Op::drop) return {true, {{.op = Op::keep}}};
    Node* number = is_number(tree) ? &tree.back() : coefficient(tree);
    const bool negative = number && number->value < 0;
    if (negative) number->value = -number->value;
    return {negative, std::move(tree)};
}

Nodes negated(Nodes body) {
    if (op_of(body) == Op::keep) return {{.op = Op::drop}};
    if (is_number(body)) return constant(-body.back().value);
    if (Node* number = coefficient(body)) {
        number->value = number->value == 0 ? 0 : -number->value;
        return body;
    }
    return join(Op::neg, body);
}

void collect_terms(View tree, bool negative, bool is_canonical, std::vector<Term>& terms) {
    struct Pending {
        View tree;
        bool negative;
    };
    std::vector<Pending> pending{{tree, negative}};
    while (!pending.empty()) {
        const Pending next = pending.back();
        pending.pop_back();
        const Op op = op_of(next.tree);
        if (is_sum(op)) {
            pending.push_back({last_operand(next.tree), next.negative != (op != Op::add)});
            if (op != Op::neg) pending.push_back({first_of_two(next.tree), next.negative});
        } else if (is_canonical) {
            Term term = split_sign(Nodes(next.tree.begin(), next.tree.end()));
            term.negative = term.negative != next.negative;
            terms.push_back(std::move(term));
        } else {
            collect_terms(canonical_nodes(next.tree), next.negative, true, terms);
        }
    }
}

Nodes canonical_sum(View tree) {
    std::vector<Term> collected;
    collect_terms(tree, false, false, collected);
    std::vector<Term> terms;
    std::vector<double> numbers;
    for (Term& term : collected) {
        if (is_number(term.body))
            numbers.push_back(term.negative ? -term.body.back().value : term.body.back().value);
        else
            terms.push_back(std::move(term));
    }
    std::sort(terms.begin(), terms.end(), [](const Term& a, const Term& b) {
        return a.negative != b.negative ? b.negative : before(a.body, b.body);
    });
    for (const double value : fold(std::move(numbers), Op::add, 0)) { // positive ones end the positive terms
        const auto place =
            value < 0 ? terms.end()
                      : std::find_if(terms.begin(), terms.end(), [](const Term& term) { return term.negative; });
        terms.insert(place, Term{value < 0, constant(std::fabs(value))});
    }
    if (terms.empty()) return constant(0);
    Nodes sum = terms[0].negative ? negated(std::move(terms[0].body)) : std::move(terms[0].body);
    for (std::size_t i = 1; i < terms.size(); ++i) {
        sum = join(terms[i].negative ? Op::sub : Op::add, sum, terms[i].body);
    }
    return sum;
}

/// Operands of nested `op`s, each canonical, in no order.
std::vector<Nodes> operands_of(View tree, Op op) {
    std::vector<Nodes> operands;
    std::vector<View> pending{tree};
    while (!pending.empty()) {
        const View next = pending.back();
        pending.pop_back();
        if (op_of(next) == op) {
            pending.push_back(last_operand(next));
            pending.push_back(first_of_two(next));
            continue;
        }
        Nodes operand = canonical_nodes(next);
        if (op_of(operand) != op) {
            operands.push_back(std::move(operand));
            continue;
        }
        for (View rest = operand;; rest = first_of_two(rest)) {
            const bool more = op_of(rest) == op;
            const View each = more ? last_operand(rest) : rest;
            operands.emplace_back(each.begin(), each.end());
            if (!more) break;
        }
    }
    return operands;
}

Nodes chain(Op op, const std::vector<Nodes>& operands) {
    Nodes result = operands.front();
    for (std::size_t i = 1; i < operands.size(); ++i) result = join(op, result, operands[i]);
    return result;
}

/// In a product, -x is x with the sign moved out, and -2*x is 2 and x: one more look at each factor.
void split_factor(Nodes factor, bool& negative, std::vector<double>& numbers, std::vector<Nodes>& factors) {
    Term term = split_sign(std::move(factor));
    negative = negative != term.negative;
    if (is_number(term.body)) {
        numbers.push_back(term.body.back().value);
    } else if (op_of(term.body) == Op::mul) {
        for (Nodes& each : operands_of(term.body, Op::mul)) split_factor(std::move(each), negative, numbers, factors);
    } else {
        factors.push_back(std::move(term.body));
    }
}

Nodes canonical_product(View tree) {
    bool negative = false;
    std::vector<double> numbers;
    std::vector<Nodes> factors;
    for (Nodes& factor : operands_of(tree, Op::mul)) split_factor(std::move(factor), negative, numbers, factors);
    std::sort(factors.begin(), factors.end(), before);
    numbers = fold(std::move(numbers), Op::mul, 1);
    std::vector<Nodes> all;
    all.reserve(numbers.size() + factors.size());
    for (const double number : numbers) all.push_back(constant(number));
    std::move(factors.begin(), factors.end(), std::back_inserter(all));
    if (all.empty()) return constant(negative ? -1 : 1);
    Nodes product = chain(Op::mul, all);
    if (!negative) return product;
    return is_sum(op_of(product)) ? canonical_sum(join(Op::neg, product)) : negated(std::move(product));
}

Nodes canonical_extreme(View tree, Op op) {
    std::vector<Nodes> operands;
    std::vector<double> values;
    for (Nodes& operand : operands_of(tree, op)) {
        if (is_value(operand))
            values.push_back(value_of(operand));
        else
            operands.push_back(std::move(operand));
    }
    std::sort(operands.begin(), operands.end(), before);
    operands.erase(std::unique(operands.begin(), operands.end(), same), operands.end());
    if (!values.empty()) {
        const double value = op == Op::min ? *std::min_element(values.begin(), values.end())
                                           : *std::max_element(values.begin(), values.end());
        const bool neutral = std::isinf(value) && (value > 0) == (op == Op::min);
        if (!neutral || operands.empty()) operands.push_back(from_value(value));
    }
    return chain(op, operands);
}

Nodes canonical_other(View tree) {
    Op op = op_of(tree);
    const std::size_t count = arity(op);
    Nodes operands[3];
    View rest = tree;
    bool all_values = true;
    for (std::size_t k = count; k > 0; --k) {
        const View last = last_operand(rest);
        operands[k - 1] = canonical_nodes(last);
        all_values = all_values && is_value(operands[k - 1]);
        // What is left, with a stand-in for the operator at its end.
        rest = rest.first(rest.size() - last.size());
    }
    auto& [a, b, c] = operands;
    if (all_values) {
        const double value = compute(op, value_of(a), count > 1 ? value_of(b) : 0, count > 2 ? value_of(c) : 0);
        if (!std::isnan(value)) return from_value(value);
    }
    if (op == Op::select) {
        if (is_value(a)) return value_of(a) != 0 ? b : c;
        if (same(b, c)) return b;
    }
    if ((op == Op::div || op == Op::pow) && is_number(b) && b.back().value == 1) return a;
    if (op == Op::gt || op == Op::ge) { // a > b is b < a
        op = op == Op::gt ? Op::lt : Op::le;
        std::swap(a, b);
    }
    if (op == Op::eq && before(b, a)) std::swap(a, b);
    return join(op, a, b, c);
}

Nodes canonical_nodes(View tree) {
    const Op op = op_of(tree);
    if (op == Op::constant) return constant(tree.back().value);
    if (arity(op) == 0) return {tree.back()};
    if (is_sum(op)) return canonical_sum(tree);
    if (op == Op::mul) return canonical_product(tree);
    if (op == Op::min || op == Op::max) return canonical_extreme(tree, op);
    return canonical_other(tree);
}

} // namespace

Formula canonical(const Formula& formula) {
    if (formula.empty()) return formula;
    return Formula(canonical_nodes(formula.nodes()));
}

std::string canonical_hash(const Formula& formula) { return sha256_hex(print(canonical(formula))).substr(0, 16); }

} // namespace evictlab::formula
