// Strategies from what is known of attention under eviction: means instead of sums, windows, recency, graded sinks,
// guards that decide too much.
// SPDX-License-Identifier: MIT
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "evolution/variation/expression.hpp"
#include "evolution/variation/operator.hpp"

namespace evictlab::evolution {
namespace {

using Parents = std::span<const Formula* const>;

Formula queries_seen(double at_most) {
    const Formula all = apply(Op::add, column("relative_pos"), constant(1));
    return at_most > 0 ? apply(Op::min, all, constant(at_most)) : all;
}

Formula mean_attention(bool recent) {
    return recent ? apply(Op::div, column("recent_attn"), queries_seen(33))
                  : apply(Op::div, column("cumulative_attn"), queries_seen(0));
}

Offspring mean_instead_of_sum(Parents parents, Rng& rng, const VariationContext&) {
    const Formula& parent = *parents[0];
    const ColumnId recent = columns::intern("recent_attn");
    const ColumnId cumulative = columns::intern("cumulative_attn");
    std::vector<std::size_t> places;
    for (const std::size_t at : nodes_of(parent, Op::column))
        if (parent.nodes()[at].column == recent || parent.nodes()[at].column == cumulative) places.push_back(at);
    if (places.empty()) return {};
    const std::size_t at = rng.any(places);
    const bool is_recent = parent.nodes()[at].column == recent;
    return {replaced(parent, at, mean_attention(is_recent)),
            fmt::format("the mean of {} over the queries that saw the token: a sum favours old tokens",
                        is_recent ? "recent_attn" : "cumulative_attn")};
}

Offspring mean_term(Parents parents, Rng& rng, const VariationContext&) {
    const bool recent = rng.chance(0.5);
    const double weight = tidy(std::exp2(rng.uniform(-1, 4)));
    const Formula mean = mean_attention(recent);
    return {with_term(*parents[0], apply(Op::mul, constant(weight), mean)),
            fmt::format("adds {} times `{}`: what a token got a query tells what it will get", weight, brief(mean))};
}

/// Constants that stand beside relative_pos in a division or comparison: the widths of windows.
Offspring window_constant(Parents parents, Rng& rng, const VariationContext&) {
    const Formula& parent = *parents[0];
    const ColumnId distance = columns::intern("relative_pos");
    std::vector<std::size_t> places;
    for (std::size_t at = 2; at < parent.size(); ++at) {
        const Op op = parent.nodes()[at].op;
        if (op != Op::div && op != Op::lt && op != Op::le && op != Op::mul) continue;
        const auto& first = parent.nodes()[at - 2];
        const auto& second = parent.nodes()[at - 1];
        if (first.op == Op::column && first.column == distance && second.op == Op::constant) places.push_back(at - 1);
        if (second.op == Op::column && second.column == distance && first.op == Op::constant) places.push_back(at - 2);
    }
    if (places.empty()) return {};
    const std::size_t at = rng.any(places);
    const double before = parent.nodes()[at].value;
    const double after = tidy(before * std::exp2(rng.uniform(-1.5, 1.5)));
    return {
        replaced(parent, at, constant(after)),
        fmt::format("a window constant of {} instead of {}: attention may fade over another distance", after, before)};
}

Offspring recency_term(Parents parents, Rng& rng, const VariationContext&) {
    constexpr std::array windows{8.0, 16.0, 32.0, 64.0, 128.0};
    const double window = rng.any(windows);
    const double weight = tidy(std::exp2(rng.uniform(-4, 1)));
    const Formula fade = apply(Op::max, constant(0),
                               apply(Op::sub, constant(1), apply(Op::div, column("relative_pos"), constant(window))));
    return {with_term(*parents[0], apply(Op::mul, constant(weight), fade)),
            fmt::format("rewards the last {} tokens by up to {}: recent tokens are attended to", window, weight)};
}

Offspring sink_term(Parents parents, Rng& rng, const VariationContext&) {
    const double weight = tidy(std::exp2(rng.uniform(-5, 0)));
    const Formula ramp = apply(Op::max, constant(0), apply(Op::sub, constant(4), column("position")));
    return {with_term(*parents[0], apply(Op::mul, constant(weight), ramp)),
            fmt::format("rewards the first four tokens by {} a step: sinks, the first the most", weight)};
}

Offspring column_term(Parents parents, Rng& rng, const VariationContext& context) {
    const ColumnId id = rng.any(context.columns);
    const double weight = tidy(0.2 * rng.normal());
    return {with_term(*parents[0], apply(Op::mul, constant(weight), column(id))),
            fmt::format("adds {} * {}: the column may tell something more", weight, columns::name(id))};
}

/// A term times a column, a power of the length or a fading window.
Offspring modulate_term(Parents parents, Rng& rng, const VariationContext& context) {
    const Formula& parent = *parents[0];
    const std::size_t at = rng.any(term_roots(parent, body_root(parent)));
    Formula factor;
    switch (rng.below(4)) {
    case 0:
        factor = column(rng.any(context.columns));
        break;
    case 1:
        factor = apply(Op::pow, column("sequence_len"), constant(rng.uniform(-1, 1)));
        break;
    case 2:
        factor = apply(Op::pow, queries_seen(0), constant(rng.uniform(-1, 1)));
        break;
    default:
        factor = apply(Op::add, constant(1), apply(Op::mul, constant(rng.normal()), column("layer_ratio")));
    }
    return {replaced(parent, at, apply(Op::mul, parent.subtree(at), factor)),
            fmt::format("makes `{}` depend on `{}`", brief(parent.subtree(at)), brief(factor))};
}

Offspring drop_guard(Parents parents, Rng& rng, const VariationContext&) {
    const Formula& parent = *parents[0];
    const auto guards = nodes_of(parent, Op::select);
    if (guards.empty()) return {};
    const std::size_t at = rng.any(guards);
    const auto parts = operands(parent, at);
    const Formula rest = parent.subtree(parent.nodes()[parts[2]].length > 1 ? parts[2] : parts[1]);
    return {replaced(parent, at, rest),
            fmt::format("without the guard `{}`: the score may know better", brief(parent.subtree(parts[0])))};
}

Offspring drop_term(Parents parents, Rng& rng, const VariationContext&) {
    const Formula& parent = *parents[0];
    const auto terms = term_roots(parent, body_root(parent));
    if (terms.size() < 2) return {};
    const std::size_t at = rng.any(terms);
    return {replaced(parent, at, constant(0)),
            fmt::format("without the term `{}`: it may only add noise", brief(parent.subtree(at)))};
}

constexpr std::array table{
    Operator{"mean_instead_of_sum", "an attention sum becomes a mean over the queries that saw the token", Mating::one,
             1.0, mean_instead_of_sum},
    Operator{"mean_term", "a weighted mean attention is added", Mating::one, 1.0, mean_term},
    Operator{"window_constant", "the width of a window changes", Mating::one, 0.7, window_constant},
    Operator{"recency_term", "a reward that fades with distance is added", Mating::one, 0.7, recency_term},
    Operator{"sink_term", "a graded reward for the first four tokens is added", Mating::one, 0.5, sink_term},
    Operator{"column_term", "a weighted column is added", Mating::one, 0.7, column_term},
    Operator{"modulate_term", "a term is made to depend on a column, the length, the age or the layer", Mating::one,
             1.5, modulate_term},
    Operator{"drop_guard", "an if() is replaced by its general case", Mating::one, 0.5, drop_guard},
    Operator{"drop_term", "a term of the sum is left out", Mating::one, 0.5, drop_term},
};

} // namespace

std::span<const Operator> domain_strategies() { return table; }

} // namespace evictlab::evolution
