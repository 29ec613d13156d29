// Where a run stands after a generation: all that the next one is made from, and its way into and out of
// evolution.json. SPDX-License-Identifier: MIT
#pragma once
#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "evolution/candidate.hpp"
#include "evolution/external/proposer.hpp"
#include "evolution/population.hpp"

namespace evictlab::evolution {

struct Counters {
    std::uint64_t candidates = 0;          ///< made, measured and in the journal
    std::uint64_t accepted = 0;            ///< of them, champions included
    std::uint64_t duplicates = 0;          ///< made again and not measured again
    std::uint64_t evaluations = 0;         ///< formulas measured on train, those of tuning and of lost races included
    std::uint64_t semantic_duplicates = 0; ///< not measured, as a formula no larger keeps the same
    std::uint64_t raced_out = 0;           ///< candidates that left a race, and so were measured in part
    std::uint64_t refused = 0;             ///< parameter sets that the plugin refused or that broke it
};

/// What a run has tried. Not in the state, which stays small: rebuilt from the journal.
struct Seen {
    std::unordered_set<std::uint64_t> hashes;            ///< canonical, of all candidates
    std::unordered_map<std::uint64_t, std::size_t> kept; ///< by kept_hash: the fewest nodes that keep so
    void add(std::uint64_t hash, std::optional<std::uint64_t> kept_hash, std::size_t nodes);
    void add(const Candidate& candidate) { add(candidate.genome.hash(), candidate.kept_hash, candidate.genome.size()); }
    /// Whether a formula no larger keeps the same.
    bool keeps_as(std::uint64_t kept_hash, std::size_t nodes) const;
};

/// One generation's line of the history.
struct HistoryLine {
    std::uint32_t generation = 0;
    double best_train = 0; ///< in the population
    double champion_train = 0, champion_valid = 0;
    std::uint64_t evaluations = 0;
};

/// The history in the state is its last lines only, so that saving stays cheap; the journal has everything.
inline constexpr std::size_t history_limit = 100;

struct RunState {
    std::uint32_t generation = 0;
    std::uint32_t last_champion_generation = 0;
    Counters counters;
    std::vector<Member> population;   ///< cheapest first
    std::vector<Candidate> champions; ///< in order; the last one is the champion
    std::vector<HistoryLine> history;
    std::vector<ProposerRejection> proposal_outcomes; ///< of the last generation's that are no champions
    std::string stop_reason;                          ///< "" while it runs
    double seconds = 0;                               ///< of all invocations
    std::vector<Member> archive;                      ///< in the order of its cells; empty where none is kept

    const Candidate& champion() const { return champions.back(); }
};

/// The state's part of the content; all times are under the key "times", so that the rest is equal for equal runs.
void write_state(const RunState& state, nlohmann::ordered_json& content);
/// As it stands there: saved_run() says whether it makes sense. Throws Error that names the
/// field.
RunState state_from_json(const JsonField& content);

} // namespace evictlab::evolution
