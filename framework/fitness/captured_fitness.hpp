// Fast measures of many formulas on the train and valid splits of a captured suite, by the protocol prefill: columns
// and the continuation's attention are held in memory. SPDX-License-Identifier: MIT
#pragma once
#include "framework/fitness/fitness.hpp"
#include "framework/suite/suite.hpp"

namespace evictlab {

enum class CapturedMeasure : std::uint8_t { attention_loss, output_error, predicted_kl };
std::string_view to_string(CapturedMeasure measure); ///< as benches name it

/// Figures of a document agree with run_bench's by prefill to rounding. The mean over documents is the geometric one
/// for predicted_kl, as it is for the divergence that it foretells, else the arithmetic one. Thread-safe once made.
class CapturedFitness final : public Fitness {
public:
    /// `columns` are all that a job may read; none may need what the suite does not give (protocol.hpp's refusal()).
    /// Throws Error if more than `memory_limit` bytes would be needed, or where the suite lacks what the measure needs:
    /// output projections, or sensitivities. `every`: judge by each such query only (ContinuationDamage), which makes
    /// figures an estimate.
    CapturedFitness(const Suite& suite, std::vector<double> retentions, std::span<const ColumnId> columns,
                    CapturedMeasure measure, std::size_t memory_limit = std::size_t{12} << 30, std::size_t every = 1);
    ~CapturedFitness() override;
    std::vector<FormulaErrors> evaluate(SearchSplit split, std::span<const FitnessJob> jobs) const override;
    /// The same in attention loss, which is cheap, or the measure that it was made for.
    std::vector<FormulaErrors> evaluate(SearchSplit split, std::span<const FitnessJob> jobs,
                                        CapturedMeasure measure) const;
    /// Attention loss everywhere; the fitness at the lowest retention, which weighs most and costs least, of every
    /// second document; the same of the others. Parts are layers of documents, or documents for predicted_kl. None for
    /// attention loss.
    std::vector<std::string> heats() const override;
    std::vector<RaceResult> race(std::span<const FitnessJob> jobs, const StaysInRace& stays) const override;
    /// The sample: 16 heads, spread evenly over documents, layers and heads.
    std::optional<std::uint64_t> kept_hash(const FitnessJob& job) const override;
    std::span<const double> retentions() const override;
    std::span<const ColumnId> columns() const override;
    std::size_t work(SearchSplit split) const override;

private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

} // namespace evictlab
