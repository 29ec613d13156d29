// Fitness on one suite or several, as a share of the best published row's error: what makes retentions, measures and
// suites comparable. SPDX-License-Identifier: MIT
#pragma once
#include <array>
#include <string>

#include "framework/fitness/fitness.hpp"

namespace evictlab {

/// Errors that count as 1: [retention], of the best published row at each, on the train and on the valid split.
using ReferenceErrors = std::array<std::vector<double>, 2>; ///< by SearchSplit

/// A suite's part in a RelativeFitness.
struct FitnessPart {
    std::string suite; ///< its name, for messages
    std::unique_ptr<const Fitness> fitness;
    ReferenceErrors reference;
};

/// by_retention and by_document are errors over reference, suite after suite, and average the mean over suites of the
/// mean over their retentions. Below 1: better than every published row. Thread-safe once made, as its parts are.
class RelativeFitness final : public Fitness {
public:
    /// At least one part. Throws Error for a reference of another number of retentions, or one that is not above 0.
    explicit RelativeFitness(std::vector<FitnessPart> parts);
    std::vector<FormulaErrors> evaluate(SearchSplit split, std::span<const FitnessJob> jobs) const override;
    /// By the first part; the others are measured of those that stay in its race.
    std::vector<std::string> heats() const override { return parts_.front().fitness->heats(); }
    std::vector<RaceResult> race(std::span<const FitnessJob> jobs, const StaysInRace& stays) const override;
    /// Over all parts'; nothing where one has none.
    std::optional<std::uint64_t> kept_hash(const FitnessJob& job) const override;
    std::span<const double> retentions() const override { return retentions_; } ///< suite after suite
    std::span<const ColumnId> columns() const override { return columns_; }     ///< that all parts have
    std::size_t work(SearchSplit split) const override;
    std::span<const FitnessPart> parts() const { return parts_; }

private:
    void add(FormulaErrors& to, const FitnessPart& part, SearchSplit split, FormulaErrors errors) const;
    std::vector<FitnessPart> parts_;
    std::vector<double> retentions_;
    std::vector<ColumnId> columns_;
};

} // namespace evictlab
