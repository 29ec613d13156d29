// The latest queries of a KV head, asked again over its cached tokens. SPDX-License-Identifier: MIT
#pragma once
#include <cstddef>

#include "base/numeric/aligned.hpp"
#include "framework/columns/column.hpp"

namespace evictlab::columns {

/// Refers to the row, whose tensors are not null.
class LatestQueries {
public:
    LatestQueries(const RowContext& row, std::size_t window);

    std::size_t count() const { return count_; } ///< queries: the window, or as many as there were
    std::size_t stride() const { return stride_; }
    /// q.k of a query head without any scale: [count()][stride()], the oldest query first; to be overwritten at will.
    /// Holds until the next call. Memory is queries x tokens.
    float* products(std::size_t head);
    /// The same of one query in double precision: [tokens].
    void exact_products(std::size_t head, std::size_t query, double* out) const;
    /// Slots that one of the queries sees are begin <= slot < end; none where both are equal.
    struct Slots {
        std::size_t begin, end;
    };
    Slots seen_by(std::size_t query) const;
    /// Slots of tokens that are older than all of these queries: 0 .. before() - 1.
    std::size_t before() const { return slot_of(first_); }

private:
    std::size_t slot_of(std::size_t position) const; ///< the first that is not before a position
    const RowContext& row_;
    std::size_t count_, first_, stride_; ///< first_: the oldest query's position
    AlignedFloats keys_, products_;      ///< [dim][stride_], [count_][stride_]
};

} // namespace evictlab::columns
