// What a search varies: a formula, or one setting of a plugin's evolvable parameters. Which of the two it is, its text,
// its hash and its compiled program are here, and are made once.
// SPDX-License-Identifier: MIT
#pragma once
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "framework/fitness/fitness.hpp"
#include "framework/formula/formula.hpp"
#include "framework/scorers/parameter_space.hpp"

namespace evictlab::evolution {

/// What a run that tunes a plugin tries in place of a formula: one setting of its evolvable parameters.
struct ParameterSet {
    std::string scorer;         ///< canonical text, ParameterSpace::text(): "snapkv@kvpress:window=48"
    std::vector<double> values; ///< as ParameterSpace has them
    std::size_t changed = 0;    ///< how many differ from the preset's
};

/// An immutable value; copies share what it holds, from any thread. One made by default holds nothing, and only
/// assigning to it makes sense.
class Genome {
public:
    Genome() = default;
    /// A formula in its canonical form.
    static Genome canonical(const formula::Formula& formula);
    /// A formula as it is written; the hash is that of its canonical form.
    static Genome verbatim(formula::Formula formula);
    static Genome parameters_of(const ParameterSpace& space, std::span<const double> values);
    /// As a state has them: believed, and checked by who goes on from there (saved_run.hpp).
    static Genome saved(formula::Formula formula, std::uint64_t hash);
    static Genome saved(ParameterSet parameters, std::uint64_t hash);

    const formula::Formula& formula() const; ///< empty where it is a parameter set
    const ParameterSet* parameters() const;  ///< null where it is a formula
    const std::string& text() const;         ///< the formula's, or the scorer's
    const char* text_key() const;            ///< of that text in JSON: "formula" or "scorer"
    std::string scorer_text() const;         ///< what --scorers and a judge take: of a formula "=" and its text
    std::uint64_t hash() const;              ///< over the canonical form's text: equal ones are duplicates
    std::string hash_text() const;           ///< 16 hexadecimal digits
    std::size_t size() const;                ///< nodes of the formula, or parameters that differ from the preset's
    /// To be measured. Compiles a formula the first time. Refers to what this holds.
    FitnessJob job() const;

private:
    struct Content;
    explicit Genome(std::shared_ptr<const Content> content) : content_(std::move(content)) {}
    const Content& content() const;

    std::shared_ptr<const Content> content_;
};

/// The hash of a genome with this canonical text.
std::uint64_t hash_of_text(const std::string& text);

/// A number that is equal for formulas that differ in their constants only; every parameter set has its own. Within a
/// process.
std::uint64_t skeleton_of(const Genome& genome);

/// Jobs of all, in order, compiled in parallel. They refer to the genomes.
std::vector<FitnessJob> jobs_of(std::span<const Genome> genomes);

} // namespace evictlab::evolution
