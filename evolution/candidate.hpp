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
#include "framework/fitness/fitness.hpp"
#include "framework/formula/formula.hpp"

namespace evictlab::evolution {

enum class Status : std::uint8_t { champion, accepted, rejected };
std::string_view to_string(Status status);

/// KL divergences inside the model, in nats a token: geometric means (model_gate.hpp).
struct CandidateVerdict {
    FormulaErrors train;
    std::optional<FormulaErrors> valid; ///< where train did not decide already
};

/// What a run that tunes a plugin tries in place of a formula: one setting of its evolvable parameters.
struct ParameterSet {
    std::string scorer;         ///< canonical text, ParameterSpace::text(): "snapkv@kvpress:window=48"
    std::vector<double> values; ///< as ParameterSpace has them
    std::size_t changed = 0;    ///< how many differ from the preset's
};

/// One tried formula, or parameter set. Its JSON (a journal line) has these names as keys.
struct Candidate {
    std::string id; ///< "g12-s34": generation and slot
    std::uint32_t generation = 0;
    std::uint32_t slot = 0;
    std::vector<std::string> parents;        ///< ids
    std::string op;                          ///< the operator or named strategy that made it ("operator" in JSON)
    std::string hypothesis;                  ///< in words: why it might be better
    formula::Formula formula;                ///< empty where a plugin is tuned
    std::optional<ParameterSet> parameters;  ///< where a plugin is tuned; in JSON "scorer" and "values"
    std::string hash;                        ///< canonical_hash(formula), or of the scorer's text
    std::optional<std::uint64_t> kept_hash;  ///< Fitness::kept_hash(), where semantic duplicates are looked for
    FormulaErrors train;                     ///< empty, in JSON null, where it left a race
    std::optional<FormulaErrors> valid;      ///< measured once the train gate is passed
    std::optional<CandidateVerdict> verdict; ///< where the run has a judge, and it was asked
    Status status = Status::rejected;
    std::string reason;

    /// "nodes" in JSON: of the formula, or parameters that differ from the preset's.
    std::size_t size() const { return parameters ? parameters->changed : formula.size(); }
    std::string text() const;                                                  ///< the formula's, or the scorer's
    std::string text_key() const { return parameters ? "scorer" : "formula"; } ///< of that text in JSON
    /// What --scorers and a judge take: the scorer's text, or "=" and the formula's.
    std::string scorer_text() const;
};

/// Hashes are up to 16 hexadecimal digits; Error for anything else.
std::uint64_t hash_number(const std::string& hash);
/// The same of a field, which the Error names.
std::uint64_t hash_number(const JsonField& field);
/// A hash as its text, checked.
const std::string& hash_from_json(const JsonField& field);

nlohmann::ordered_json to_json(const Candidate& candidate);
/// Throws Error that names the file and the field that is missing or wrong.
Candidate candidate_from_json(const JsonField& field);
/// {"by_retention": [...], "average": ...}, and "by_document": [[...], ...] where that is known.
nlohmann::ordered_json to_json(const FormulaErrors& errors);
FormulaErrors errors_from_json(const JsonField& field);
/// {"scorer": ..., "values": [...]}, or {"formula": ...}.
nlohmann::ordered_json parameters_or_formula(const std::optional<ParameterSet>& parameters,
                                             const formula::Formula& formula);
/// Nothing where the object holds a formula.
std::optional<ParameterSet> parameters_from_json(const JsonField& field, std::size_t changed);
/// The formula that a field holds as text; Error that names the field where it is none.
formula::Formula formula_from_json(const JsonField& field);

/// What a report needs of a saved run; the test split is opened by the report, never by the run.
struct RunSummary {
    std::string suite, suite_hash, suite_parameters_json;
    std::vector<double> retentions;
    std::uint64_t seed = 0;
    std::uint32_t generation = 0;
    std::uint64_t evaluations = 0;
    std::uint64_t duplicates = 0;
    std::string start;       ///< the formula or name that it began from, as typed
    std::string stop_reason; ///< "" while it has not stopped by itself
    std::string command;     ///< that repeats the run
    Candidate champion;
    std::vector<Candidate> champions; ///< every champion in order, the last one being `champion`
};

/// Throws state::StateError (damaged, other schema) or Error (not a run).
RunSummary read_run(const std::filesystem::path& state_file);

} // namespace evictlab::evolution
