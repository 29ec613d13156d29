// Candidates of an evolution run, and what of a run others may read.
// SPDX-License-Identifier: MIT
#pragma once
#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "base/json/json_field.hpp"
#include "evolution/genome.hpp"
#include "framework/cut/shape.hpp"
#include "framework/fitness/fitness.hpp"

namespace evictlab::evolution {

enum class Status : std::uint8_t { champion, accepted, rejected };
std::string_view to_string(Status status);

/// KL divergences inside the model, in nats a token: geometric means (model_gate.hpp).
struct CandidateVerdict {
    FormulaErrors train;
    std::optional<FormulaErrors> valid; ///< where train did not decide already
};

/// One tried genome. Its JSON (a journal line) has these names as keys; of the genome they are "formula", or "scorer"
/// and "values", "hash" and "nodes", its size.
struct Candidate {
    std::string id; ///< "g12-s34": generation and slot
    std::uint32_t generation = 0;
    std::uint32_t slot = 0;
    std::vector<std::string> parents; ///< ids
    std::string op;                   ///< the operator or named strategy that made it ("operator" in JSON)
    std::string hypothesis;           ///< in words: why it might be better
    Genome genome;
    std::optional<std::uint64_t> kept_hash;  ///< Fitness::kept_hash(), where semantic duplicates are looked for
    FormulaErrors train;                     ///< empty, in JSON null, where it left a race
    std::optional<FormulaErrors> valid;      ///< measured once the train gate is passed
    std::optional<CandidateVerdict> verdict; ///< where the run has a judge, and it was asked
    Status status = Status::rejected;
    std::string reason;
};

/// Of up to 16 hexadecimal digits; Error that names the field for anything else.
std::uint64_t hash_from_json(const JsonField& field);

nlohmann::ordered_json to_json(const Candidate& candidate);
/// Throws Error that names the file and the field that is missing or wrong.
Candidate candidate_from_json(const JsonField& field);
/// {"by_retention": [...], "average": ...}, and "by_document": [[...], ...] where that is known.
nlohmann::ordered_json to_json(const FormulaErrors& errors);
FormulaErrors errors_from_json(const JsonField& field);
/// {"formula": ...} or {"scorer": ..., "values": [...]}, without the hash.
nlohmann::ordered_json to_json(const Genome& genome);
/// From an object that has these and "hash" among others; `changed` of a parameter set stands elsewhere in it.
Genome genome_from_json(const JsonField& field, std::size_t changed);
/// The formula that a field holds as text; Error that names the field where it is none.
formula::Formula formula_from_json(const JsonField& field);

/// What a report needs of a saved run; the test split is opened by the report, never by the run.
struct RunSummary {
    std::string suite, suite_hash, suite_parameters_json;
    std::vector<double> retentions;
    Shape shape{};                   ///< at which its candidates keep tokens
    std::vector<std::size_t> keep{}; ///< numbers of tokens, whose names the retentions are; none elsewhere
    std::uint64_t seed = 0;
    std::uint32_t generation = 0;
    std::uint64_t evaluations = 0;
    std::uint64_t duplicates = 0;
    std::string start;       ///< the formula or name that it began from, as typed
    std::string stop_reason; ///< "" while it has not stopped by itself
    std::string command;     ///< that repeats the run, without its state file and the number of generations
    Candidate champion;
    std::vector<Candidate> champions; ///< every champion in order, the last one being `champion`
};

/// Throws state::StateError (damaged, other schema) or Error (not a run).
RunSummary read_run(const std::filesystem::path& state_file);

} // namespace evictlab::evolution
