// One generation: breeding, leaving out duplicates, measuring, the gates, tuning the best structures. A function of the
// state before it, so that a generation that is abandoned half-way leaves nothing behind and is made again on resume.
// SPDX-License-Identifier: MIT
#pragma once
#include <vector>

#include "evolution/batch.hpp"
#include "evolution/run_state.hpp"
#include "evolution/setup.hpp"

namespace evictlab::evolution {

struct Generation {
    RunState state;                    ///< after it; `seen` is empty: the caller keeps the one set and adds to it
    std::vector<Candidate> candidates; ///< new ones, in slot order
};

/// Generation 0: the start formula, which is the first champion. Throws Abandoned, as below.
Generation first_generation(const RunConfig& config, const Fitness& fitness, const StopSignal& stop);

/// The generation after `before`. The same bits for any number of threads.
Generation next_generation(const RunState& before, const RunConfig& config, const Fitness& fitness,
                           const StopSignal& stop);

} // namespace evictlab::evolution
