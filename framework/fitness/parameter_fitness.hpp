// Errors of a plugin's parameter sets on the splits that a search may see, by the suite's usual protocol: many sets in
// one pass of a bench whose test split stays sealed.
// SPDX-License-Identifier: MIT
#pragma once
#include <atomic>

#include "framework/bench/scorecard.hpp"
#include "framework/fitness/fitness.hpp"
#include "framework/scorers/parameter_space.hpp"

namespace evictlab {

/// A split's figures as searches use them: means over documents as PrefillFitness takes them, geometric ones for
/// predicted_kl, else those of the scorecard.
FormulaErrors search_errors(const SplitErrors& errors, std::string_view measure);

/// Jobs have no program; their constants are a set of the space's values. A set that the plugin or the suite refuses,
/// or that breaks in scoring, has FormulaErrors::failure. evaluate() throws PluginError of Blame::outside where the
/// plugin could not be asked. Thread-safe once made.
class ParameterFitness final : public Fitness {
public:
    /// Refers to the suite, and to `stop`, which may be null; once that is set evaluate() throws Interrupted.
    ParameterFitness(const Suite& suite, ParameterSpace space, std::vector<double> retentions, std::string measure,
                     const std::atomic<bool>* stop, const Shape& shape = {}, std::vector<std::size_t> keep = {});
    std::vector<FormulaErrors> evaluate(SearchSplit split, std::span<const FitnessJob> jobs) const override;
    std::span<const double> retentions() const override { return retentions_; }
    std::span<const ColumnId> columns() const override { return {}; }
    std::size_t work(SearchSplit split) const override { return work_[static_cast<std::size_t>(split)]; }

private:
    const Suite& suite_;
    ParameterSpace space_;
    std::vector<double> retentions_;
    std::string measure_;
    Shape shape_;
    std::vector<std::size_t> keep_;
    const std::atomic<bool>* stop_;
    std::array<std::size_t, 2> work_{}; ///< by SearchSplit
};

} // namespace evictlab
