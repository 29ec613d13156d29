// Errors of whole batches of genomes, in pieces short enough that a stop is heeded well within a second.
// SPDX-License-Identifier: MIT
#pragma once
#include <functional>
#include <span>
#include <vector>

#include "base/input/stop_signal.hpp"
#include "evolution/genome.hpp"
#include "framework/fitness/fitness.hpp"

namespace evictlab::evolution {

/// Calls `measure` with some jobs after the other, in order. Throws Interrupted.
void for_each_piece(const Fitness& fitness, SearchSplit split, std::span<const FitnessJob> jobs, const StopSignal& stop,
                    const std::function<void(std::span<const FitnessJob>)>& measure);

/// Errors of each, in order. Throws Interrupted.
std::vector<FormulaErrors> evaluate_all(const Fitness& fitness, SearchSplit split, std::span<const Genome> genomes,
                                        const StopSignal& stop);

} // namespace evictlab::evolution
