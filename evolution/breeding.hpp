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
/// With RunConfig::semantic_duplicates the candidates have kept hashes, by `fitness`.
Brood breed(const RunState& state, const RunConfig& config, const Fitness& fitness);

/// Candidate::kept_hash; nothing where semantic duplicates are not looked for.
std::optional<std::uint64_t> kept_hash_of(const formula::Formula& formula, const RunConfig& config,
                                          const Fitness& fitness);

/// What canonical_hash() is of formulas, of a parameter set's text.
std::string scorer_hash(const std::string& scorer);
/// Whether the score can differ between tokens of a row; one that cannot ranks nothing.
bool ranks_tokens(const formula::Formula& formula);

/// Fills generation, slot, id, formula in canonical form and its hash; or the parameters in place of the formula.
Candidate new_candidate(std::uint32_t generation, std::uint32_t slot, const formula::Formula& formula);
Candidate new_candidate(std::uint32_t generation, std::uint32_t slot, const ParameterSpace& space,
                        std::span<const double> values);

} // namespace evictlab::evolution
