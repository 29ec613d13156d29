// What the fast fitnesses share: the splits' units in memory, the work in tasks, the sample behind kept_hash().
// SPDX-License-Identifier: MIT
#pragma once
#include <array>
#include <functional>
#include <string_view>

#include "framework/cut/kept_hash.hpp"
#include "framework/fitness/units.hpp"
#include "framework/scoring/column_places.hpp"

namespace evictlab {

/// A fitness that holds its splits as units, or knows who does. Thread-safe once made, as all of Fitness is.
class HeldFitness : public Fitness {
public:
    std::span<const double> retentions() const override { return retentions_; }
    std::span<const ColumnId> columns() const override { return columns_; }
    /// The sample: 16 heads, spread evenly over documents, layers and heads.
    std::optional<std::uint64_t> kept_hash(const FitnessJob& job) const override;

    const UnitLayout& layout(SearchSplit split) const;
    /// The jobs `which`, by index, at the part's units and retentions, in parallel.
    void measure(const UnitPart& part, std::span<const FitnessJob> jobs, std::span<const std::size_t> which,
                 UnitErrors& errors) const;
    /// Goes on from another hash with what the job keeps in these heads of train, at every retention. Of a fitness that
    /// holds its units.
    std::uint64_t hash_kept(const FitnessJob& job, std::span<const std::size_t> heads, std::uint64_t hash) const;

protected:
    /// `jobs_a_task`: that are measured one after another on one unit.
    HeldFitness(std::vector<double> retentions, std::vector<ColumnId> columns, std::size_t jobs_a_task,
                std::shared_ptr<const UnitsElsewhere> elsewhere)
        : retentions_(std::move(retentions)), columns_(std::move(columns)), places_(columns_),
          jobs_a_task_(jobs_a_task), elsewhere_(std::move(elsewhere)) {}

    /// Throws Error where the splits need more memory than the limit; both in bytes.
    static void check_memory(std::string_view whose, double needed, std::size_t limit, std::size_t train_traces);
    /// Calls make(trace, layer, document) for each held layer of each trace, in parallel, with the number of the layer
    /// among all of the split's; before that `prepare` with how many there are.
    static void for_each_layer(std::span<const TracePtr> traces, const std::function<void(std::size_t)>& prepare,
                               const std::function<void(std::size_t, const Trace&, std::size_t, std::size_t)>& make);
    bool holds_units() const { return elsewhere_ == nullptr; }

    /// Into `errors`, [retention], at those of the part.
    virtual void measure_unit(const UnitPart& part, std::size_t unit, const FitnessJob& job, double* errors) const = 0;
    /// Adds what the job keeps in a head of train, at every retention.
    virtual void add_kept(const FitnessJob& job, std::size_t train_head, KeptHash& hash) const = 0;

    std::vector<double> retentions_;
    std::vector<ColumnId> columns_;     ///< that a job may read
    ColumnPlaces places_;               ///< of the same
    std::array<UnitLayout, 2> layouts_; ///< by SearchSplit, of units that it holds

private:
    std::size_t jobs_a_task_;
    std::shared_ptr<const UnitsElsewhere> elsewhere_;
};

std::vector<std::size_t> indices_below(std::size_t end);

} // namespace evictlab
