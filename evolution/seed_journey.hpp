// The seed's own evolution, generations 1 to 4, replayed: each step as a candidate with its hypothesis, judged by our
// gates, beside what the seed printed for it.
// SPDX-License-Identifier: MIT
#pragma once
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "evolution/candidate.hpp"

namespace evictlab::evolution {

/// One step as the seed made it.
struct JourneyStep {
    std::string_view name; ///< as in the reference figures: `gen2_layer_aware`; generation 1: `gen1_multiplicative`
    std::uint32_t generation = 0;
    std::string_view mutation;             ///< the seed's name for it
    std::vector<std::string_view> parents; ///< names of steps; "start_formula" for generation 1 and 2
    std::string_view hypothesis;
    std::string formula;
    std::string_view
        seed_status; ///< as printed: CHAMPION, accepted, improved, REJECTED; "" where it is not in the table
    std::string_view seed_result; ///< as printed: "6.92%", "+46% worse"; "" likewise
};

/// All steps in the order in which they are judged.
std::vector<JourneyStep> seed_journey();

struct JourneyRow {
    JourneyStep step;
    Candidate candidate;          ///< with our figures, status and reason; ids are the steps' names
    double train_improvement = 0; ///< over hybrid_baseline, in per cent: the seed's measure
    double valid_improvement = 0;
};

/// Measures and judges every step. The first champion is the start formula.
std::vector<JourneyRow> replay_seed_journey(const Fitness& fitness);

/// The seed's table with our figures beside it, as Markdown that also reads as plain text.
std::string journey_table(std::span<const JourneyRow> rows);

} // namespace evictlab::evolution
