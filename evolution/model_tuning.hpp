// Tuning of the champion's constants inside the model: what CMA-ES minimises is the judge's KL divergence on train
// documents, because offline measures foresee it only in part. SPDX-License-Identifier: MIT
#pragma once
#include <optional>

#include "evolution/model_gate.hpp"
#include "evolution/run_state.hpp"
#include "evolution/setup.hpp"

namespace evictlab::evolution {

/// A candidate that is better than the champion on all train documents, in `slot` of the generation; not yet measured
/// offline, nor judged on valid documents. Nothing where none was found or there is nothing to tune. `champion` is the
/// member that the champion would be; `evaluations` is raised by those made. Throws as ModelGate does.
std::optional<Candidate> tune_in_model(const Member& champion, const FormulaErrors& verdict, const RunConfig& config,
                                       ModelGate& gate, std::uint32_t generation, std::uint32_t slot,
                                       std::uint64_t& evaluations);

} // namespace evictlab::evolution
