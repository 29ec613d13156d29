// Which members of a population are tuned in a generation, and their tuning: a formula's constants, or the continuous
// parameters of a scorer. SPDX-License-Identifier: MIT
#pragma once
#include "evolution/batch.hpp"
#include "evolution/run_state.hpp"
#include "evolution/setup.hpp"
#include "evolution/tuning.hpp"

namespace evictlab::evolution {

/// What tuning moves: a formula's constants, or the continuous ones of a plugin's parameters.
std::vector<double> tunable(const Genome& genome, const RunConfig& config);

/// Indices into the population of the structures to tune: the best, of which those already tuned count as worse.
std::vector<std::size_t> structures_to_tune(const RunState& state, const RunConfig& config);

/// By train error; values are of tunable(). Safe to call from several TBB tasks at once. Throws Interrupted.
TuningResult tune(const Member& member, const RunConfig& config, const Fitness& fitness, const StopSignal& stop,
                  Rng rng);

/// The candidate that a tuning's values make of its member, with operator, parent and hypothesis.
Candidate tuned_candidate(const Member& member, const TuningResult& result, const RunConfig& config,
                          std::uint32_t generation, std::uint32_t slot);

} // namespace evictlab::evolution
