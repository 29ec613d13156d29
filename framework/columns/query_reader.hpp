// Which queries a column reads that computes attention itself, from RowContext::tensors.
// SPDX-License-Identifier: MIT
#pragma once
#include <cstddef>

#include "framework/columns/column.hpp"

namespace evictlab::columns {

/// A state for which not all queries so far may matter.
class QueryReader {
public:
    virtual ~QueryReader() = default;
    /// How many of the latest queries its values follow from; all_history: from all of them together.
    virtual std::size_t latest_queries() const = 0;
};

/// How many of the latest queries a column follows from, of a derived one its base.
inline std::size_t latest_queries(ColumnId id) {
    while (const auto from = base(id)) id = *from;
    if (info(id).queries != ColumnQueries::all) return queries(id);
    const auto state = make(id, 1);
    const auto* reader = dynamic_cast<const QueryReader*>(state.get());
    return reader ? reader->latest_queries() : all_history;
}

} // namespace evictlab::columns
