// How a run's champions came about: what `evictlab log` says. SPDX-License-Identifier: MIT
#pragma once
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "evolution/candidate.hpp"

namespace evictlab::report {

/// A candidate between two champions.
struct Ancestor {
    std::string id;
    std::uint32_t generation = 0;
    std::vector<std::string> parents;
    std::string op, hypothesis;
    std::string text_key, text; ///< Genome::text_key() and text()
    evolution::Status status = evolution::Status::rejected;
};

struct ChampionEntry {
    evolution::Candidate champion;
    std::string from;                ///< the champion that it descends from; "" for one that was made from nothing
    std::vector<Ancestor> by_way_of; ///< the candidates between the two, oldest first, each the next one's first parent
    std::vector<Ancestor> mates;     ///< the other parents of the champion and of those between, as far as no champions
};

/// What an operator's candidates became, over the whole run.
struct OperatorCount {
    std::string op;
    std::size_t candidates = 0, accepted = 0, champions = 0; ///< accepted: champions among them
};

struct RunLog {
    std::string file;
    std::vector<ChampionEntry> champions;       ///< in order
    std::vector<evolution::Candidate> accepted; ///< that are no champions, in order
    std::vector<evolution::Candidate> rejected; ///< the last ones, in order
    std::vector<OperatorCount> operators;       ///< by name
};

struct LogOptions {
    bool accepted = false;    ///< whether to read those, too
    std::size_t rejected = 0; ///< how many of those
};

/// Reads the state and its journal without locking them; safe while a process saves. Throws state::StateError (none,
/// damaged, other schema, a journal of another run) or Error (not a run).
RunLog read_log(const std::filesystem::path& state_file, const LogOptions& options);

/// Lines for people.
std::string to_text(const RunLog& log);
/// {"schema": "evictlab-log/1", ...}, described in docs/evolution.md.
nlohmann::ordered_json to_json(const RunLog& log);

} // namespace evictlab::report
