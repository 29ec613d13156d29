// Candidates that a proposer thought up, in slots behind those of breeding and tuning.
// SPDX-License-Identifier: MIT
#pragma once
#include <vector>

#include "evolution/breeding.hpp"
#include "evolution/generation.hpp"

namespace evictlab::evolution {

struct Proposed {
    std::vector<Bred> bred;                 ///< new ones, to be measured
    std::vector<ProposerRejection> refused; ///< those that cannot be candidates, and why
    std::uint64_t duplicates = 0;           ///< formulas that were tried before, by whomever
    std::string failure;                    ///< why there is no answer; "" where there is one
};

/// Asks for the next generation's proposals. A proposer that fails has proposed nothing. Throws Interrupted.
Proposed proposals_for(const RunState& before, const Seen& seen, const RunConfig& config, const External& external,
                       const StopSignal& stop);

/// What became of the proposals among a generation's candidates, for the next request.
std::vector<ProposerRejection> outcomes_of(const std::vector<Candidate>& candidates,
                                           std::vector<ProposerRejection> refused);

} // namespace evictlab::evolution
