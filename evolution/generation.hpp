// One generation: breeding, leaving out duplicates, measuring, the gates, tuning the best structures. A function of the
// state before it, so that a generation that is abandoned half-way leaves nothing behind and is made again on resume.
// SPDX-License-Identifier: MIT
#pragma once
#include <vector>

#include "evolution/batch.hpp"
#include "evolution/external/proposer.hpp"
#include "evolution/external/verdict_judge.hpp"
#include "evolution/run_state.hpp"
#include "evolution/setup.hpp"

namespace evictlab::evolution {

struct Generation {
    RunState state;                    ///< after it
    std::vector<Candidate> candidates; ///< new ones, in slot order
    std::string proposer_failure{};    ///< why its proposer did not answer; "" where it did
};

/// Whom a run asks beside its fitness; null where nobody.
struct External {
    VerdictJudge* judge = nullptr;
    Proposer* proposer = nullptr;
    ProposalRequest about{};              ///< what of a request is the same in all generations
    std::vector<std::string> documents{}; ///< of train, in the order of FormulaErrors::by_document
};

/// Generation 0: the start formula, which is the first champion. Throws Interrupted or JudgeLost, as below.
Generation first_generation(const RunConfig& config, const Fitness& fitness, const StopSignal& stop,
                            const External& external = {});

/// The generation after `before`, without what was `seen` until then; the caller adds the new candidates to that. The
/// same bits for any number of threads.
Generation next_generation(const RunState& before, const Seen& seen, const RunConfig& config, const Fitness& fitness,
                           const StopSignal& stop, const External& external = {});

} // namespace evictlab::evolution
