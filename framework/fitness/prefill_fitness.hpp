// Fast measures of many formulas on the train and valid splits of a captured suite, by the protocol prefill: columns
// and the continuation's attention are held in memory. SPDX-License-Identifier: MIT
#pragma once
#include "framework/damage/measure.hpp"
#include "framework/damage/output_metrics.hpp"
#include "framework/fitness/held_fitness.hpp"
#include "framework/fitness/held_layer.hpp"

namespace evictlab {

/// Figures of a document agree with run_bench's by prefill to rounding. The mean over documents is the geometric one
/// for predicted_kl, as it is for the divergence that it foretells, else the arithmetic one. Thread-safe once made.
class PrefillFitness final : public HeldFitness {
public:
    /// `columns` are all that a job may read; none may need what the suite does not give (protocol.hpp's refusal()).
    /// Throws Error if more than `memory_limit` bytes would be needed, or where the suite lacks what the measure needs:
    /// output projections, or sensitivities. `every`: judge by each such query only (ContinuationDamage), which makes
    /// figures an estimate. `keep`: numbers of tokens in place of the retentions, which are their names then. The limit
    /// is of what it holds by `place`.
    PrefillFitness(const Suite& suite, std::vector<double> retentions, std::span<const ColumnId> columns,
                   Measure measure, std::size_t memory_limit = std::size_t{12} << 30, std::size_t every = 1,
                   const Shape& shape = {}, std::vector<std::size_t> keep = {}, const UnitPlace& place = {});
    std::vector<FormulaErrors> evaluate(SearchSplit split, std::span<const FitnessJob> jobs) const override;
    /// The same in attention loss, which is cheap, or the measure that it was made for.
    std::vector<FormulaErrors> evaluate(SearchSplit split, std::span<const FitnessJob> jobs, Measure measure) const;
    /// Attention loss everywhere; the fitness at the lowest retention, which weighs most and costs least, of every
    /// second document; the same of the others. Units are layers of documents, or documents for predicted_kl and where
    /// layers share a set. None for attention loss.
    std::vector<std::string> heats() const override;
    std::vector<RaceResult> race(std::span<const FitnessJob> jobs, const StaysInRace& stays) const override;
    std::size_t work(SearchSplit split) const override;

private:
    using Layers = std::vector<HeldLayer>;
    struct Heat;

    void check_suite(const Suite& suite) const;
    void check_budgets(const Trace& trace) const;
    double bytes_needed(const CapturedTrace& trace) const;
    Layers load(std::span<const TracePtr> from, UnitLayout& layout) const;
    void list_train_heads();
    const Layers& layers(SearchSplit split) const { return splits_[static_cast<std::size_t>(split)]; }
    static std::span<const HeldLayer> layers_of(const Layers& layers, std::size_t document);
    /// Whether all layers of a document keep the same.
    bool one_set() const { return shape_.granularity == Granularity::model; }
    bool by_document(Measure by) const { return one_set() || by == Measure::predicted_kl; }
    std::size_t units(SearchSplit split, Measure by) const;
    std::size_t document_of(SearchSplit split, Measure by, std::size_t unit) const;
    UnitPart part_of(SearchSplit split, Measure by, std::vector<std::size_t> units,
                     std::vector<std::size_t> retentions) const;
    UnitPart whole(SearchSplit split, Measure by) const;
    UnitPart rest_of_race() const;
    std::size_t hardest() const;
    std::vector<Heat> race_heats() const;
    std::vector<double> compared_figures(const Heat& heat, const double* errors) const;
    void measure_unit(const UnitPart& part, std::size_t unit, const FitnessJob& job, double* errors) const override;
    void predict_kl(std::span<const HeldLayer> layers, const FitnessJob& job, std::span<const std::size_t> at,
                    HeldScratch& scratch, double* errors) const;
    /// [retention] of those at these indices: the one set of a document's layers.
    KeptSets document_sets(std::span<const HeldLayer> layers, const FitnessJob& job, std::span<const std::size_t> at,
                           HeldScratch& scratch) const;
    void measure_document(std::span<const HeldLayer> layers, Measure measure, const FitnessJob& job,
                          std::span<const std::size_t> at, HeldScratch& scratch, double* errors) const;
    FormulaErrors summarise(SearchSplit split, Measure by, const double* errors) const;
    void add_kept(const FitnessJob& job, std::size_t train_head, KeptHash& hash) const override;

    Measure measure_;
    std::size_t every_;
    Shape shape_;
    std::vector<std::size_t> keep_;
    OutputMetrics metrics_;
    std::array<Layers, 2> splits_;                                 ///< by SearchSplit
    std::vector<std::pair<std::size_t, std::size_t>> train_heads_; ///< [head of train] layer, head
};

} // namespace evictlab
