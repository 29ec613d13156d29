// The named strategies of the seed's own process: its generations 2 to 4 were made by these, by hand.
// SPDX-License-Identifier: MIT
#include <fmt/format.h>

#include <array>

#include "evolution/variation/expression.hpp"
#include "evolution/variation/operator.hpp"

namespace evictlab::evolution {
namespace {

using Parents = std::span<const Formula* const>;

Offspring reweight_terms(Parents parents, Rng& rng, const VariationContext&) {
    const Formula& parent = *parents[0];
    const auto terms = term_roots(parent, body_root(parent));
    if (terms.size() < 2) return {};
    const std::size_t first = rng.below(terms.size());
    const std::size_t second = (first + 1 + rng.below(terms.size() - 1)) % terms.size();
    const double factor = rng.uniform(1.1, 1.8);
    // The later term first: changing it leaves the places before it where they are.
    const auto [low, high] = std::minmax(terms[first], terms[second]);
    const double low_factor = low == terms[first] ? factor : 1 / factor;
    const Formula child = scaled(scaled(parent, high, 1 / low_factor), low, low_factor);
    return {child, fmt::format("weighs `{}` {:.2f} times more and `{}` as much less",
                               brief(parent.subtree(terms[first])), factor, brief(parent.subtree(terms[second])))};
}

Offspring change_power(Parents parents, Rng& rng, const VariationContext&) {
    const Formula& parent = *parents[0];
    std::vector<std::size_t> exponents;
    for (const std::size_t at : nodes_of(parent, Op::pow))
        if (parent.nodes()[at - 1].op == Op::constant) exponents.push_back(at - 1);
    if (!exponents.empty() && rng.chance(0.7)) {
        const std::size_t at = rng.any(exponents);
        const double before = parent.nodes()[at].value;
        const double after = tidy(before * rng.uniform(0.5, 1.6));
        return {replaced(parent, at, constant(after)),
                fmt::format("power {} instead of {}: the correction may be too {}", after, before,
                            after < before ? "strong" : "weak")};
    }
    const auto terms = term_roots(parent, body_root(parent));
    const std::size_t at = rng.any(terms);
    if (parent.nodes()[at].op == Op::constant) return {};
    const double power = tidy(rng.uniform(0.4, 2));
    return {replaced(parent, at, apply(Op::pow, parent.subtree(at), constant(power))),
            fmt::format("`{}` to the power {}: {} its large values", brief(parent.subtree(at)), power,
                        power < 1 ? "dampens" : "stresses")};
}

Offspring key_norm_term(Parents parents, Rng& rng, const VariationContext&) {
    const double direction = rng.chance(0.7) ? -0.1 : 0.1;
    const double weight = tidy(direction * rng.uniform(0.3, 2));
    const Formula capped = apply(Op::min, column("key_norm"), constant(2));
    return {with_term(*parents[0], apply(Op::mul, constant(weight), capped)),
            fmt::format("{} tokens with large keys by {} (KnormPress): their keys may be outliers",
                        weight < 0 ? "penalises" : "rewards", std::abs(weight))};
}

Offspring layer_coefficient(Parents parents, Rng& rng, const VariationContext&) {
    const Formula& parent = *parents[0];
    const std::size_t body = body_root(parent);
    std::vector<std::size_t> places;
    for (const std::size_t at : nodes_of(parent, Op::constant))
        if (at <= body && at >= parent.subtree_begin(body)) places.push_back(at);
    if (places.empty()) return {};
    const std::size_t at = rng.any(places);
    const double base = parent.nodes()[at].value;
    const double slope = tidy(size_of(base) * 0.5 * rng.normal());
    const Formula layered = apply(Op::add, constant(base), apply(Op::mul, constant(slope), column("layer_ratio")));
    return {replaced(parent, at, layered),
            fmt::format("lets {} go to {} in the last layer (PyramidKV): late layers are more focused", base,
                        tidy(base + slope))};
}

Offspring crossover_accepted(Parents parents, Rng& rng, const VariationContext&) {
    const Formula& donor = *parents[1];
    const auto terms = term_roots(donor, body_root(donor));
    const Formula term = donor.subtree(rng.any(terms));
    return {with_term(*parents[0], term),
            fmt::format("adds the term `{}` of another accepted formula: their signals may add up", brief(term))};
}

constexpr std::array table{
    Operator{"reweight_terms", "one term of the sum gains the weight that another loses", Mating::one, 1.0,
             reweight_terms},
    Operator{"change_power", "an exponent changes, or a term gets one", Mating::one, 1.0, change_power},
    Operator{"key_norm_term", "a term in the key's norm, capped at 2", Mating::one, 0.3, key_norm_term},
    Operator{"layer_coefficient", "a coefficient a becomes a + b * layer_ratio", Mating::one, 0.7, layer_coefficient},
    Operator{"crossover_accepted", "a term of one accepted formula is added to another", Mating::accepted, 1.5,
             crossover_accepted},
};

} // namespace

std::span<const Operator> seed_strategies() { return table; }

} // namespace evictlab::evolution
