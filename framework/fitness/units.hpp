// A split in units, each a part of one document: what a fitness measures one by one before it takes means. Means are
// taken in the order of units, so it does not matter who measured them, nor where. SPDX-License-Identifier: MIT
#pragma once
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "framework/damage/measure.hpp"
#include "framework/fitness/fitness.hpp"

namespace evictlab {

/// How a split is made of units. Documents are those of the split, by index.
struct UnitLayout {
    std::vector<std::size_t> documents;      ///< [unit], ascending
    std::vector<std::size_t> head_documents; ///< [head that kept_hash() may sample], ascending
    std::size_t traces = 0;                  ///< documents of the split
    std::size_t tokens = 0;                  ///< scored and ranked by one formula
};

/// What of a split is measured at once.
struct UnitPart {
    SearchSplit split = SearchSplit::train;
    Measure measure = Measure::attention_loss;  ///< where there are several
    bool by_document = false;                   ///< units are whole documents here, and not the layout's
    std::vector<std::size_t> units, retentions; ///< by index
};

/// [job][unit][retention], 0 at first.
class UnitErrors {
public:
    UnitErrors(std::size_t jobs, std::size_t units, std::size_t retentions)
        : width_(units * retentions), values_(jobs * width_) {}
    double* of(std::size_t job) { return values_.data() + job * width_; }

private:
    std::size_t width_;
    std::vector<double> values_;
};

/// A measurement that cannot be had any more: who holds the units is gone. Nothing is wrong with what was measured.
struct FitnessLost : Error {
    using Error::Error;
};

/// Units that others hold. Safe from several threads, also from inside TBB tasks: it waits, and runs no other task
/// meanwhile. Throws FitnessLost, or Interrupted.
class UnitsElsewhere {
public:
    virtual ~UnitsElsewhere() = default;
    virtual const UnitLayout& layout(SearchSplit split) const = 0;
    /// Errors of the jobs `which`, by index, at the part's units and retentions.
    virtual void measure(const UnitPart& part, std::span<const FitnessJob> jobs, std::span<const std::size_t> which,
                         UnitErrors& errors) const = 0;
    /// HeldFitness::hash_kept() from 0 on; `heads` of train, ascending.
    virtual std::uint64_t hash_kept(const FitnessJob& job, std::span<const std::size_t> heads) const = 0;
};

/// Where a fitness has its units, unless it holds all of its suite's.
struct UnitPlace {
    std::optional<SearchTraces> documents{};           ///< it holds these of the suite alone
    std::shared_ptr<const UnitsElsewhere> elsewhere{}; ///< it holds none
};

} // namespace evictlab
