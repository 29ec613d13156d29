// Tuning of constants by CMA-ES: a structure's constants are moved together, from where they are, until the error stops
// falling. Knows nothing of formulas: it minimises a function of some numbers.
// SPDX-License-Identifier: MIT
#pragma once
#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

namespace evictlab::evolution {

struct TuningOptions {
    std::uint32_t seed = 0;        ///< from a counter-based stream
    std::size_t evaluations = 500; ///< about as many calls of the objective
    double step = 0.15;            ///< first standard deviation, in parts of each constant's size
};

struct TuningResult {
    std::vector<double> values; ///< tidied; the start where nothing better was found
    double error = 0;           ///< never above the start's
    std::size_t evaluations = 0;
};

using Objective = std::function<double(std::span<const double> values)>;

/// The same start, options and objective give the same bits. The objective is called from this thread only, with tidied
/// values; what it throws passes through. Safe to call from several threads at once.
TuningResult tune_constants(std::span<const double> start, double start_error, const TuningOptions& options,
                            const Objective& objective);

} // namespace evictlab::evolution
