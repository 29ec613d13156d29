// SPDX-License-Identifier: MIT
#include "evolution/model_tuning.hpp"

#include <fmt/format.h>

#include "base/statistics/philox.hpp"
#include "evolution/member_tuning.hpp"

namespace evictlab::evolution {

std::optional<Candidate> tune_in_model(const Member& champion, const FormulaErrors& verdict, const RunConfig& config,
                                       ModelGate& gate, std::uint32_t generation, std::uint32_t slot,
                                       std::uint64_t& evaluations) {
    Rng rng(config.seed, generation, slot, Purpose::verdict_tuning);
    TuningOptions options;
    options.seed = rng.next();
    options.evaluations = config.verdict_tuning;
    options.step = rng.chance(0.3) ? 0.4 : 0.15;
    const TuningResult result =
        tune_constants(tunable(champion.genome, config), 1, options, [&](std::span<const double> values) {
            const TuningResult tried{{values.begin(), values.end()}, 0, 0};
            const Candidate candidate = tuned_candidate(champion, tried, config, generation, slot);
            return gate.raced_ratio(candidate.genome.scorer_text(), verdict, generation);
        });
    evaluations += result.evaluations;
    if (!(result.error < 1)) return std::nullopt;
    Candidate candidate = tuned_candidate(champion, result, config, generation, slot);
    candidate.op = config.space ? "tune_parameters_in_model" : "tune_constants_in_model";
    candidate.hypothesis += ", each judged inside the model";
    return candidate;
}

} // namespace evictlab::evolution
