// Errors of many formulas, or of many parameter sets of a plugin, on the splits that a search may see.
// SPDX-License-Identifier: MIT
#pragma once
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "framework/formula/program.hpp"
#include "framework/suite/suite.hpp"

namespace evictlab {

/// Errors at each retention on one split, and their mean.
struct FormulaErrors {
    std::vector<double> by_retention;
    double average = 0;
    std::vector<std::vector<double>> by_document{}; ///< [document (trace, pattern) of the split][retention]
    std::string failure{}; ///< why there are none, where a scorer's parameters are refused or break it; else ""
};

/// One program with the constants to use in it; without a program the parameters of a scorer (parameter_fitness.hpp).
struct FitnessJob {
    const formula::Program* program = nullptr;
    std::span<const double> constants;
};

/// Asked after each heat of a race about each job that is still in it, in their order, on the calling thread. `figures`
/// are the job's in this heat, one a part of the split, the same parts for all jobs; lower is better.
using StaysInRace = std::function<bool(std::size_t heat, std::size_t job, std::span<const double> figures)>;

struct RaceResult {
    FormulaErrors errors; ///< those of evaluate(), bit for bit; empty where it left the race
    bool finished = true;
    std::size_t left_in = 0; ///< the heat after which it left
};

/// Measures formulas. Thread-safe once made; the same bits for any number of threads, any grouping of jobs into calls,
/// and any machine of the same architecture.
class Fitness {
public:
    virtual ~Fitness() = default;
    /// Errors of each job, in order. Parallel with TBB inside; call from one thread at a time or from inside TBB tasks.
    /// A job may read columns() alone.
    virtual std::vector<FormulaErrors> evaluate(SearchSplit split, std::span<const FitnessJob> jobs) const = 0;
    /// What the heats of a race measure, cheapest first, in words; none where measuring in parts would save nothing.
    virtual std::vector<std::string> heats() const { return {}; }
    /// evaluate() on train in parts, of which the first are cheap: a job that does not stay is not measured further.
    /// As evaluate() in all else.
    virtual std::vector<RaceResult> race(std::span<const FitnessJob> jobs, const StaysInRace& stays) const;
    /// A hash over what the job keeps in a fixed sample of train's rows, at every retention: equal for jobs that keep
    /// the same tokens there. Nothing where no sample was taken. Serial; safe from several threads.
    virtual std::optional<std::uint64_t> kept_hash(const FitnessJob&) const { return std::nullopt; }
    virtual std::span<const double> retentions() const = 0;
    virtual std::span<const ColumnId> columns() const = 0;
    /// Work of one formula on a split, in tokens scored and ranked; for pieces of work that a stop can come between.
    virtual std::size_t work(SearchSplit split) const = 0;
};

/// Means over the blocks of a document, then over documents, in order. `document` is each block's, every document has
/// one, and `errors` is [block][retention].
FormulaErrors mean_over_documents(std::span<const std::size_t> document, std::size_t documents, std::size_t retentions,
                                  const double* errors);

} // namespace evictlab
