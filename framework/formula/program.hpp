// Evaluating formulas over batches of tokens: the hot loop of the product.
// SPDX-License-Identifier: MIT
#pragma once
#include <cstddef>
#include <memory>
#include <span>
#include <vector>

#include "framework/formula/formula.hpp"

namespace evictlab::formula {

/// One column's values for a batch: [n] readable to padded(n), or one value for the whole batch.
struct ColumnView {
    const double* data = nullptr;
    bool uniform = false;
};

/// Scratch memory of one thread; grows to what the largest program asked for and is reused.
class Workspace {
public:
    /// Aligned to a cache line; what it held before is lost.
    void* reserve(std::size_t bytes);

private:
    struct alignas(64) Line {
        std::byte bytes[64];
    };
    std::vector<Line> memory_;
};

/// A formula compiled for evaluation: repeated subexpressions computed once, what is uniform over a batch computed once
/// a batch, the rest in blocks that stay in the first-level cache, vectorised for the processor found at run time with
/// the same bits on each (no contraction into fused operations). Immutable; safe to share between threads.
class Program {
public:
    explicit Program(const Formula& formula);
    /// The columns needed, in the order in which evaluate() wants their views.
    std::span<const ColumnId> columns() const { return columns_; }
    /// The formula's own constants, in node order.
    std::span<const double> constants() const { return constants_; }
    /// Scores of n tokens into out, which must hold padded(n) values. `constants` are used in place of the formula's
    /// own (for tuning); as many as constants(). A NaN result counts as drop (-inf), so out never holds NaN.
    void evaluate(std::span<const ColumnView> columns, std::span<const double> constants, std::size_t n, double* out,
                  Workspace& workspace) const;

private:
    struct Code; // instructions over registers
    std::vector<ColumnId> columns_;
    std::vector<double> constants_;
    std::shared_ptr<const Code> code_;
};

/// The plain meaning of one formula for one token, in scalar double arithmetic: what evaluate() is held to in tests.
/// `values` in the order of formula.columns().
double evaluate_one(const Formula& formula, std::span<const double> values);

} // namespace evictlab::formula
