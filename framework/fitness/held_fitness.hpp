// What the fast fitnesses share: the splits' units in memory, the work in tasks, the sample behind kept_hash().
// SPDX-License-Identifier: MIT
#pragma once
#include <array>
#include <functional>
#include <string_view>

#include "framework/cut/kept_hash.hpp"
#include "framework/fitness/fitness.hpp"
#include "framework/scoring/column_places.hpp"

namespace evictlab {

/// A fitness that holds its splits as units, each a part of one document. Thread-safe once made, as all of Fitness is.
class HeldFitness : public Fitness {
public:
    std::span<const double> retentions() const override { return retentions_; }
    std::span<const ColumnId> columns() const override { return columns_; }
    /// The sample: 16 heads, spread evenly over documents, layers and heads.
    std::optional<std::uint64_t> kept_hash(const FitnessJob& job) const override;

protected:
    HeldFitness(std::vector<double> retentions, std::vector<ColumnId> columns)
        : retentions_(std::move(retentions)), columns_(std::move(columns)), places_(columns_) {}

    /// Throws Error where the splits need more memory than the limit; both in bytes.
    static void check_memory(std::string_view whose, double needed, std::size_t limit, std::size_t train_traces);
    /// Calls make(trace, layer, document) for each held layer of each trace, in parallel, with the number of the layer
    /// among all of the split's; before that `prepare` with how many there are.
    static void for_each_layer(std::span<const TracePtr> traces, const std::function<void(std::size_t)>& prepare,
                               const std::function<void(std::size_t, const Trace&, std::size_t, std::size_t)>& make);
    /// [job][unit][retention], each by `measure`, in parallel; `which` are jobs and `units` units by index.
    class ErrorTable;
    void measure_units(std::span<const std::size_t> which, std::span<const std::size_t> units, std::size_t jobs_a_task,
                       ErrorTable& errors,
                       const std::function<void(std::size_t job, std::size_t unit, double* errors)>& measure) const;

    virtual std::size_t train_heads() const = 0;
    /// Adds what the job keeps in a head of train, at every retention.
    virtual void add_kept(const FitnessJob& job, std::size_t train_head, KeptHash& hash) const = 0;

    std::vector<double> retentions_;
    std::vector<ColumnId> columns_; ///< that a job may read
    ColumnPlaces places_;           ///< of the same
};

class HeldFitness::ErrorTable {
public:
    ErrorTable(std::size_t jobs, std::size_t units, std::size_t retentions)
        : width_(units * retentions), values_(jobs * width_) {}
    double* of(std::size_t job) { return values_.data() + job * width_; }

private:
    std::size_t width_;
    std::vector<double> values_;
};

std::vector<std::size_t> indices_below(std::size_t end);

} // namespace evictlab
