// Variation of a plugin's parameters: operators that make one set of values out of one or two, and say in words why
// that might be better. As with formulas, the list is open: one entry in the table.
// SPDX-License-Identifier: MIT
#pragma once
#include <span>
#include <string>
#include <vector>

#include "base/statistics/philox.hpp"
#include "evolution/variation/operator.hpp"
#include "framework/scorers/parameter_space.hpp"

namespace evictlab::evolution {

struct ParameterOffspring {
    std::vector<double> values; ///< fitted; empty where the operator has nothing to work on
    std::string hypothesis;
};

struct ParameterOperator {
    std::string_view name, help; ///< as of Operator
    Mating mating = Mating::one;
    double weight = 1;
    /// Pure, and safe to call from several threads.
    ParameterOffspring (*make)(std::span<const std::vector<double>* const> parents, Rng& rng,
                               const ParameterSpace& space);
};

/// In the order in which they are drawn.
std::span<const ParameterOperator> parameter_operators();

} // namespace evictlab::evolution
