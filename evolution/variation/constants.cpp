// Operators that leave the structure alone and move its constants. Thorough tuning is tuning.hpp's work.
// SPDX-License-Identifier: MIT
#include <fmt/format.h>

#include <array>

#include "evolution/variation/expression.hpp"
#include "evolution/variation/operator.hpp"

namespace evictlab::evolution {
namespace {

using Parents = std::span<const Formula* const>;

double jittered(double value, double spread, Rng& rng) {
    const double scaled = value * (1 + spread * rng.normal());
    return tidy(scaled + (value == 0 ? 0.1 * rng.normal() : 0));
}

Offspring constant_mutation(Parents parents, Rng& rng, const VariationContext&) {
    const auto places = nodes_of(*parents[0], Op::constant);
    if (places.empty()) return {};
    const std::size_t at = rng.any(places);
    const double before = parents[0]->nodes()[at].value;
    const double after = jittered(before, 0.3, rng);
    return {replaced(*parents[0], at, constant(after)),
            fmt::format("{} instead of {} may weigh it better", after, before)};
}

Offspring constants_jitter(Parents parents, Rng& rng, const VariationContext&) {
    auto values = parents[0]->constants();
    if (values.empty()) return {};
    for (double& value : values) value = jittered(value, 0.08, rng);
    return {parents[0]->with_constants(values),
            fmt::format("all {} constants moved by about 8 %: looks for a better balance nearby", values.size())};
}

constexpr std::array table{
    Operator{"constant_mutation", "one constant moves by about 30 %", Mating::one, 1.0, constant_mutation},
    Operator{"constants_jitter", "all constants move by about 8 %", Mating::one, 0.7, constants_jitter},
};

} // namespace

std::span<const Operator> constant_operators() { return table; }

} // namespace evictlab::evolution
