// What a run's counters and limits say about it: shares of what was made, and the time that is left.
// SPDX-License-Identifier: MIT
#pragma once
#include <optional>

#include "evolution/run_state.hpp"
#include "evolution/setup.hpp"

namespace evictlab::evolution {

/// In [0, 1].
struct Shares {
    double duplicates = 0;          ///< of all formulas made
    double semantic_duplicates = 0; ///< of all formulas made
    double raced_out = 0;           ///< of all candidates: those that left the race
    double refused = 0;             ///< of all candidates: parameter sets that the plugin refused
};
Shares shares_of(const Counters& counters);

/// What was made in how long, of a run or of one invocation.
struct Pace {
    double seconds = 0;
    std::uint64_t generations = 0, evaluations = 0;
};

/// Seconds until the nearest of the limits on generations, evaluations and seconds at that pace; `elapsed` are
/// those of this invocation. Nothing where there is no such limit or no pace yet. When target and patience are
/// reached nobody can tell.
std::optional<double> seconds_left(const RunLimits& limits, const RunState& state, const Pace& pace, double elapsed);

} // namespace evictlab::evolution
