// Fast errors of many formulas on the splits that a search may see: the columns of all judged rows are held in memory,
// blocked so that they stay in cache while many formulas pass over them.
// SPDX-License-Identifier: MIT
#pragma once
#include <memory>
#include <span>
#include <vector>

#include "framework/formula/program.hpp"
#include "framework/suite/trace.hpp"

namespace evictlab {

/// Errors at each retention on one split, and their mean.
struct FormulaErrors {
    std::vector<double> by_retention;
    double average = 0;
};

/// One program with the constants to use in it.
struct FitnessJob {
    const formula::Program* program = nullptr;
    std::span<const double> constants;
};

enum class SearchSplit : std::uint8_t { train, valid };

/// Measures formulas. Thread-safe once made; the same bits for any number of threads, any grouping of jobs into calls,
/// and any machine of the same architecture.
class Fitness {
public:
    virtual ~Fitness() = default;
    /// Errors of each job, in order. Parallel with TBB inside; call from one thread at a time or from inside TBB tasks.
    /// A job may read columns() alone.
    virtual std::vector<FormulaErrors> evaluate(SearchSplit split, std::span<const FitnessJob> jobs) const = 0;
    virtual std::span<const double> retentions() const = 0;
    virtual std::span<const ColumnId> columns() const = 0;
    /// Work of one formula on a split, in tokens scored and ranked; for pieces of work that a stop can come between.
    virtual std::size_t work(SearchSplit split) const = 0;
};

/// By the protocol rescore. Figures agree with run_bench's to rounding (1e-12).
class FitnessEvaluator final : public Fitness {
public:
    /// Holds the seed's columns of the traces' judged rows, and `more_columns`; throws Error if that would need more
    /// than `memory_limit` bytes (with the number of patterns that would fit).
    FitnessEvaluator(SearchTraces traces, std::vector<double> retentions, std::span<const ColumnId> more_columns = {},
                     std::size_t memory_limit = std::size_t{6} << 30);
    ~FitnessEvaluator() override;
    std::vector<FormulaErrors> evaluate(SearchSplit split, std::span<const FitnessJob> jobs) const override;
    std::span<const double> retentions() const override;
    std::span<const ColumnId> columns() const override;
    std::size_t work(SearchSplit split) const override;

private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

} // namespace evictlab
