// What a formula does, told to a reader: its rules in order, the terms of its sum, and the columns that it reads.
// SPDX-License-Identifier: MIT
#include <algorithm>

#include "framework/formula/formula.hpp"

namespace evictlab::formula {
namespace {

/// The roots of the operands of a node, first to last.
std::vector<std::size_t> operands_of(const Formula& formula, std::size_t root) {
    std::vector<std::size_t> roots(arity(formula.nodes()[root].op));
    std::size_t end = root;
    for (auto each = roots.rbegin(); each != roots.rend(); ++each) {
        *each = end - 1;
        end = formula.subtree_begin(end - 1);
    }
    return roots;
}

std::string text_of(const Formula& formula, std::size_t root) { return print(formula.subtree(root)); }

std::string describe_value(const Formula& formula, std::size_t root) {
    const Op op = formula.nodes()[root].op;
    if (op == Op::keep) return "always kept";
    if (op == Op::drop) return "evicted first";
    return text_of(formula, root);
}

void describe_terms(const Formula& formula, std::size_t root, std::string& lines) {
    struct Term {
        std::size_t root;
        bool negative;
    };
    std::vector<Term> pending{{root, false}};
    while (!pending.empty()) {
        const Term term = pending.back();
        pending.pop_back();
        const Op op = formula.nodes()[term.root].op;
        if (op == Op::add || op == Op::sub) {
            const auto operands = operands_of(formula, term.root);
            pending.push_back({operands[1], term.negative != (op == Op::sub)});
            pending.push_back({operands[0], term.negative});
        } else {
            lines += std::string(term.negative ? "  minus " : "  plus  ") + describe_value(formula, term.root) + "\n";
        }
    }
}

/// A chain of if's as rules in their order; what is left is the score's terms.
void describe_rules(const Formula& formula, std::string& lines) {
    std::size_t root = formula.size() - 1;
    bool is_first = true;
    for (; formula.nodes()[root].op == Op::select; is_first = false) {
        const auto operands = operands_of(formula, root);
        lines += std::string(is_first ? "where " : "else where ") + text_of(formula, operands[0]) + ": " +
                 describe_value(formula, operands[1]) + "\n";
        root = operands[2];
    }
    lines += is_first ? "the score is the sum of\n" : "else the sum of\n";
    describe_terms(formula, root, lines);
}

} // namespace

std::string explain(const Formula& formula) {
    if (formula.empty()) return "an empty formula\n";
    std::string lines = "score = " + print(formula) + "\n";
    describe_rules(formula, lines);
    const auto ids = formula.columns();
    lines += ids.empty() ? "reads no columns: every token has the same score\n" : "reads\n";
    std::size_t width = 0;
    for (const ColumnId id : ids) width = std::max(width, columns::name(id).size());
    for (const ColumnId id : ids) {
        std::string name = columns::name(id);
        name.resize(width, ' ');
        lines += "  " + name + "  " + columns::info(id).help + "\n";
    }
    lines += std::to_string(formula.size()) + " nodes, depth " + std::to_string(formula.depth()) + ", " +
             std::to_string(formula.constants().size()) + " constants; canonical hash " + canonical_hash(formula) +
             "\n";
    return lines;
}

} // namespace evictlab::formula
