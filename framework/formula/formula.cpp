// The value type: postfix nodes whose subtrees are contiguous. Text is in parse.cpp and print.cpp.
// SPDX-License-Identifier: MIT
#include "framework/formula/formula.hpp"

#include <algorithm>
#include <cmath>

namespace evictlab::formula {

std::size_t arity(Op op) {
    switch (op) {
    case Op::constant:
    case Op::column:
    case Op::keep:
    case Op::drop:
        return 0;
    case Op::neg:
    case Op::exp:
    case Op::log:
    case Op::sqrt:
    case Op::abs:
    case Op::tanh:
        return 1;
    case Op::add:
    case Op::sub:
    case Op::mul:
    case Op::div:
    case Op::pow:
    case Op::min:
    case Op::max:
    case Op::lt:
    case Op::le:
    case Op::gt:
    case Op::ge:
    case Op::eq:
        return 2;
    case Op::select:
        return 3;
    }
    throw Error("formula: node with an operator that does not exist");
}

Formula::Formula(std::vector<Node> nodes) : nodes_(std::move(nodes)) {
    std::vector<std::uint32_t> lengths; // of the subtrees not yet taken by an operator
    for (std::size_t i = 0; i < nodes_.size(); ++i) {
        Node& node = nodes_[i];
        const std::size_t operands = arity(node.op);
        if (operands > lengths.size()) {
            throw Error("formula: node " + std::to_string(i) + " takes " + std::to_string(operands) +
                        " operands, but only " + std::to_string(lengths.size()) + " stand before it");
        }
        if (node.op != Op::constant) node.value = 0;
        if (node.op != Op::column) node.column = 0;
        if (!std::isfinite(node.value)) {
            throw Error("formula: the constant at node " + std::to_string(i) + " is not finite; use keep or drop");
        }
        node.length = 1;
        for (std::size_t k = 0; k < operands; ++k) {
            node.length += lengths.back();
            lengths.pop_back();
        }
        lengths.push_back(node.length);
    }
    if (lengths.size() != 1) {
        throw Error("formula: " + std::to_string(nodes_.size()) + " nodes form " + std::to_string(lengths.size()) +
                    " expressions; exactly one is needed");
    }
}

std::size_t Formula::depth() const {
    std::vector<std::size_t> depths;
    for (const Node& node : nodes_) {
        std::size_t deepest = 0;
        for (std::size_t k = arity(node.op); k > 0; --k) {
            deepest = std::max(deepest, depths.back());
            depths.pop_back();
        }
        depths.push_back(deepest + 1);
    }
    return depths.empty() ? 0 : depths.back();
}

Formula Formula::with_subtree(std::size_t root, std::span<const Node> replacement) const {
    const std::size_t begin = subtree_begin(root);
    std::vector<Node> nodes;
    nodes.reserve(nodes_.size() - nodes_[root].length + replacement.size());
    nodes.insert(nodes.end(), nodes_.begin(), nodes_.begin() + static_cast<std::ptrdiff_t>(begin));
    nodes.insert(nodes.end(), replacement.begin(), replacement.end());
    nodes.insert(nodes.end(), nodes_.begin() + static_cast<std::ptrdiff_t>(root) + 1, nodes_.end());
    return Formula(std::move(nodes));
}

Formula Formula::subtree(std::size_t root) const {
    const auto range = nodes().subspan(subtree_begin(root), nodes_[root].length);
    return Formula(std::vector<Node>(range.begin(), range.end()));
}

std::vector<double> Formula::constants() const {
    std::vector<double> values;
    for (const Node& node : nodes_) {
        if (node.op == Op::constant) values.push_back(node.value);
    }
    return values;
}

Formula Formula::with_constants(std::span<const double> values) const {
    std::vector<Node> nodes = nodes_;
    std::size_t used = 0;
    for (Node& node : nodes) {
        if (node.op != Op::constant) continue;
        if (used < values.size()) node.value = values[used];
        ++used;
    }
    if (used != values.size()) {
        throw Error("formula: " + std::to_string(values.size()) + " values for " + std::to_string(used) + " constants");
    }
    return Formula(std::move(nodes));
}

std::vector<ColumnId> Formula::columns() const {
    std::vector<ColumnId> ids;
    for (const Node& node : nodes_) {
        if (node.op == Op::column) ids.push_back(node.column);
    }
    std::sort(ids.begin(), ids.end());
    ids.erase(std::unique(ids.begin(), ids.end()), ids.end());
    return ids;
}

} // namespace evictlab::formula
