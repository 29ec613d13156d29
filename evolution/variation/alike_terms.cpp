// Changes that keep to the scale of what is there. Terms of a sum weigh by the unit of what they read: beside shares of
// attention of some 0.001 a rank of 0 to 1 decides alone. So a new term takes its weight from one that reads its unit.
// SPDX-License-Identifier: MIT
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <optional>

#include "evolution/variation/expression.hpp"
#include "evolution/variation/operator.hpp"

namespace evictlab::evolution {
namespace {

using Parents = std::span<const Formula* const>;
using namespace std::string_view_literals;

/// What stands on one scale; columns that are not named are alike if they have one name without parameters.
constexpr std::array units{
    std::array{"observed_attn"sv, "expected_attn"sv, "window_attn"sv, "window_max"sv, "window_std"sv, "last_attn"sv,
               "replayed_attn"sv},
    std::array{"recent_attn"sv, "cumulative_attn"sv, ""sv, ""sv, ""sv, ""sv, ""sv},
};

std::string_view base_of(std::string_view name) { return name.substr(0, name.find(':')); }

std::string_view unit_of(ColumnId id) {
    const std::string_view base = base_of(columns::name(id));
    for (const auto& unit : units)
        if (std::ranges::find(unit, base) != unit.end()) return unit.front();
    return base;
}

std::vector<ColumnId> alike(ColumnId id, const VariationContext& context) {
    std::vector<ColumnId> found;
    for (const ColumnId other : context.columns)
        if (other != id && unit_of(other) == unit_of(id)) found.push_back(other);
    return found;
}

struct WeightedColumn {
    double weight = 1;
    ColumnId column = 0;
};

/// One column of a term, and the constant that the term is multiplied by.
std::optional<WeightedColumn> read_by(const Formula& formula, std::size_t term, Rng& rng) {
    std::vector<ColumnId> read;
    for (std::size_t at = formula.subtree_begin(term); at <= term; ++at)
        if (formula.nodes()[at].op == Op::column) read.push_back(formula.nodes()[at].column);
    if (read.empty()) return std::nullopt;
    WeightedColumn found{1, rng.any(read)};
    if (formula.nodes()[term].op == Op::mul)
        for (const std::size_t operand : operands(formula, term))
            if (formula.nodes()[operand].op == Op::constant) found.weight = formula.nodes()[operand].value;
    return found;
}

std::optional<WeightedColumn> any_weighted_column(const Formula& formula, Rng& rng) {
    return read_by(formula, rng.any(term_roots(formula, body_root(formula))), rng);
}

Offspring alike_column(Parents parents, Rng& rng, const VariationContext& context) {
    const Formula& parent = *parents[0];
    const auto places = nodes_of(parent, Op::column);
    if (places.empty()) return {};
    const std::size_t at = rng.any(places);
    const ColumnId before = parent.nodes()[at].column;
    const auto others = alike(before, context);
    if (others.empty()) return {};
    const ColumnId after = rng.any(others);
    return {replaced(parent, at, column(after)),
            fmt::format("reads {} where {} was, which has the same unit", columns::name(after), columns::name(before))};
}

Offspring alike_term(Parents parents, Rng& rng, const VariationContext& context) {
    const auto model = any_weighted_column(*parents[0], rng);
    if (!model) return {};
    const auto others = alike(model->column, context);
    if (others.empty()) return {};
    const ColumnId id = rng.any(others);
    const double sign = rng.chance(0.3) ? -1 : 1;
    const double weight = tidy(sign * model->weight * std::exp2(rng.uniform(-2.5, 1.5)));
    return {with_term(*parents[0], apply(Op::mul, constant(weight), column(id))),
            fmt::format("adds {} * {}, weighed like {}: the column may tell something more", weight, columns::name(id),
                        columns::name(model->column))};
}

Offspring geometric_mean_term(Parents parents, Rng& rng, const VariationContext& context) {
    const auto model = any_weighted_column(*parents[0], rng);
    if (!model) return {};
    const auto others = alike(model->column, context);
    if (others.empty()) return {};
    const ColumnId other = rng.any(others);
    const double weight = tidy(model->weight * std::exp2(rng.uniform(-2, 2)));
    const Formula mean = apply(Op::sqrt, apply(Op::mul, column(model->column), column(other)));
    return {with_term(*parents[0], apply(Op::mul, constant(weight), mean)),
            fmt::format("adds {} times `{}`: what both signals say counts more", weight, brief(mean))};
}

/// Ranks are bounded by a constant, others by a multiple of another column of their unit.
Offspring bounded_column(Parents parents, Rng& rng, const VariationContext& context) {
    const Formula& parent = *parents[0];
    const auto places = nodes_of(parent, Op::column);
    if (places.empty()) return {};
    const std::size_t at = rng.any(places);
    const ColumnId id = parent.nodes()[at].column;
    const bool ranks = unit_of(id) == "rank";
    const auto others = alike(id, context);
    if (!ranks && others.empty()) return {};
    const double factor = ranks ? rng.uniform(0.1, 0.9) : std::exp2(rng.uniform(-1, 2));
    const Formula bound = ranks ? constant(factor) : apply(Op::mul, constant(factor), column(rng.any(others)));
    const Op op = rng.chance(0.5) ? Op::min : Op::max;
    return {replaced(parent, at, apply(op, column(id), bound)),
            fmt::format("{} is {} `{}`: beyond, it may mislead", columns::name(id),
                        op == Op::min ? "at most" : "at least", brief(bound))};
}

constexpr std::array table{
    Operator{"alike_column", "a column becomes another of the same unit", Mating::one, 1.5, alike_column},
    Operator{"alike_term", "a column is added, weighed like a term that reads its unit", Mating::one, 1.5, alike_term},
    Operator{"geometric_mean_term", "the geometric mean of a term's column and one of the same unit is added",
             Mating::one, 1.0, geometric_mean_term},
    Operator{"bounded_column", "a column is cut off at a constant or at another of the same unit", Mating::one, 0.7,
             bounded_column},
};

} // namespace

std::span<const Operator> alike_operators() { return table; }

} // namespace evictlab::evolution
