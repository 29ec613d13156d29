// The operators of genetic programming that know nothing of the domain: they cut, swap and grow subtrees.
// SPDX-License-Identifier: MIT
#include <fmt/format.h>

#include <array>

#include "evolution/variation/expression.hpp"
#include "evolution/variation/operator.hpp"

namespace evictlab::evolution {
namespace {

using Parents = std::span<const Formula* const>;

constexpr std::array binary_ops{Op::add, Op::sub, Op::mul, Op::div, Op::min, Op::max, Op::pow};
constexpr std::array unary_ops{Op::exp, Op::log, Op::sqrt, Op::abs, Op::tanh};

Formula grow_leaf(Rng& rng, const VariationContext& context) {
    if (rng.chance(0.6)) return column(rng.any(context.columns));
    constexpr std::array usual{0.1, 0.3, 0.5, 1.0, 2.0, 4.0, 32.0};
    const double size = rng.any(usual);
    return constant(size * rng.uniform(0.5, 1.5));
}

Formula grow(Rng& rng, const VariationContext& context, int depth) {
    if (depth == 0 || rng.chance(0.15)) return grow_leaf(rng, context);
    if (rng.chance(0.15)) {
        const Formula operand = grow(rng, context, depth - 1);
        return apply(rng.any(unary_ops), operand);
    }
    const Op op = rng.any(binary_ops);
    const Formula first = grow(rng, context, depth - 1);
    if (op == Op::pow) return apply(op, first, constant(rng.uniform(0.2, 3)));
    return apply(op, first, grow(rng, context, depth - 1));
}

Offspring subtree_crossover(Parents parents, Rng& rng, const VariationContext&) {
    const std::size_t at = rng.below(parents[0]->size());
    const Formula graft = parents[1]->subtree(rng.below(parents[1]->size()));
    return {replaced(*parents[0], at, graft),
            fmt::format("puts `{}` of the second parent in the place of `{}`: what helped there may help here",
                        brief(graft), brief(parents[0]->subtree(at)))};
}

Offspring subtree_mutation(Parents parents, Rng& rng, const VariationContext& context) {
    const std::size_t at = rng.below(parents[0]->size());
    const Formula grown = grow(rng, context, 1 + static_cast<int>(rng.below(3)));
    return {replaced(*parents[0], at, grown),
            fmt::format("tries `{}` in the place of `{}`", brief(grown), brief(parents[0]->subtree(at)))};
}

Offspring point_mutation(Parents parents, Rng& rng, const VariationContext& context) {
    const Formula& parent = *parents[0];
    const std::size_t at = rng.below(parent.size());
    std::vector<formula::Node> nodes(parent.nodes().begin(), parent.nodes().end());
    auto& node = nodes[at];
    if (node.op == Op::column)
        node.column = rng.any(context.columns);
    else if (node.op == Op::constant)
        node.value = tidy(node.value * rng.uniform(0.5, 2));
    else if (arity(node.op) == 1)
        node.op = rng.any(unary_ops);
    else if (arity(node.op) == 2)
        node.op = rng.any(binary_ops);
    else
        return {};
    Formula child(std::move(nodes));
    std::string hypothesis =
        fmt::format("reads `{}` where `{}` was: one node changed", brief(child.subtree(at)), brief(parent.subtree(at)));
    return {std::move(child), std::move(hypothesis)};
}

Offspring hoist(Parents parents, Rng& rng, const VariationContext&) {
    const Formula& parent = *parents[0];
    const std::size_t outer = rng.below(parent.size());
    const std::size_t length = parent.nodes()[outer].length;
    if (length < 2) return {};
    const std::size_t inner = parent.subtree_begin(outer) + rng.below(length - 1);
    const Formula kept = parent.subtree(inner);
    return {replaced(parent, outer, kept),
            fmt::format("keeps only `{}` of `{}`: the rest may be noise", brief(kept), brief(parent.subtree(outer)))};
}

Offspring shrink(Parents parents, Rng& rng, const VariationContext& context) {
    const Formula& parent = *parents[0];
    const std::size_t at = rng.below(parent.size());
    if (parent.nodes()[at].length < 2) return {};
    const Formula leaf = grow_leaf(rng, context);
    return {replaced(parent, at, leaf),
            fmt::format("`{}` may do as well as `{}`", brief(leaf), brief(parent.subtree(at)))};
}

constexpr std::array table{
    Operator{"subtree_crossover", "a subtree of the second parent replaces one of the first", Mating::two, 2.0,
             subtree_crossover},
    Operator{"subtree_mutation", "a grown subtree replaces one", Mating::one, 1.5, subtree_mutation},
    Operator{"point_mutation", "one operator, column or constant becomes another", Mating::one, 1.5, point_mutation},
    Operator{"hoist", "a subtree is replaced by a part of itself", Mating::one, 1.0, hoist},
    Operator{"shrink", "a subtree is replaced by a leaf", Mating::one, 0.7, shrink},
};

} // namespace

std::span<const Operator> structural_operators() { return table; }

} // namespace evictlab::evolution
