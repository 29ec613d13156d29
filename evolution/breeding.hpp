// Breeding: the offspring of one generation, each slot from its own stream of random numbers.
// SPDX-License-Identifier: MIT
#pragma once
#include <optional>
#include <vector>

#include "evolution/gates.hpp"
#include "evolution/run_state.hpp"
#include "evolution/setup.hpp"

namespace evictlab::evolution {

/// A candidate not yet measured, and what it must beat.
struct Bred {
    Candidate candidate;
    Reference parent;
    std::uint32_t tunings = 0;
    std::uint32_t island = 0;
};

struct Brood {
    std::vector<Bred> bred; ///< in slot order, without duplicates of each other or of anything seen
    std::uint64_t duplicates = 0, semantic_duplicates = 0;
};

/// `config.population` slots; generation 1 of a run on formulas starts with the opening strategies. Works in parallel.
/// With RunConfig::semantic_duplicates the candidates have kept hashes, by `fitness`. What was `seen` is not made
/// again.
Brood breed(const RunState& state, const Seen& seen, const RunConfig& config, const Fitness& fitness);

/// Candidate::kept_hash; nothing where semantic duplicates are not looked for.
std::optional<std::uint64_t> kept_hash_of(const Genome& genome, const RunConfig& config, const Fitness& fitness);

/// Whether the score can differ between tokens of a row; one that cannot ranks nothing.
bool ranks_tokens(const formula::Formula& formula);

/// Fills generation, slot, id and genome.
Candidate new_candidate(std::uint32_t generation, std::uint32_t slot, Genome genome);

} // namespace evictlab::evolution
