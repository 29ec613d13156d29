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

/// Thread-safe once made. Figures agree with run_bench's to rounding (1e-12), and are the same bits for any number of
/// threads, any grouping of jobs into calls, and any machine of the same architecture.
class FitnessEvaluator {
public:
    /// Holds the seed's columns of the traces' judged rows, and `more_columns`; throws Error if that would need more
    /// than `memory_limit` bytes (with the number of patterns that would fit).
    FitnessEvaluator(SearchTraces traces, std::vector<double> retentions, std::span<const ColumnId> more_columns = {},
                     std::size_t memory_limit = std::size_t{6} << 30);
    ~FitnessEvaluator();
    /// Errors of each job, in order. Parallel with TBB inside (traces, layers and jobs); call from one thread at a time
    /// or from inside TBB tasks.
    std::vector<FormulaErrors> evaluate(SearchSplit split, std::span<const FitnessJob> jobs) const;
    std::span<const double> retentions() const;
    /// Tokens scored for one formula on a split; for rates and progress.
    std::size_t tokens(SearchSplit split) const;

private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

} // namespace evictlab
