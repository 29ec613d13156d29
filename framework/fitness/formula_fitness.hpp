// The fitness of formulas on one suite, by its usual protocol. SPDX-License-Identifier: MIT
#pragma once
#include <memory>
#include <vector>

#include "framework/cut/shape.hpp"
#include "framework/fitness/held_fitness.hpp"
#include "framework/suite/suite.hpp"

namespace evictlab {

/// What figures of formulas on a suite follow from.
struct FormulaMeasuring {
    Measure measure = Measure::output_error; ///< on captured suites
    std::vector<double> retentions;
    std::vector<ColumnId> columns; ///< that a formula may read
    std::size_t query_stride = 1;  ///< on captured suites, as `every` of PrefillFitness
    Shape shape{};
    std::vector<std::size_t> keep{}; ///< as PrefillFitness has it
};

/// Throws Error as PrefillFitness and RescoreFitness do.
std::unique_ptr<HeldFitness> formula_fitness(const Suite& suite, const FormulaMeasuring& by,
                                             const UnitPlace& place = {});

} // namespace evictlab
