// SPDX-License-Identifier: MIT
#include "framework/columns/states.hpp"

namespace evictlab::columns {

ColumnInfo describe_sequence_len() {
    return {"sequence_len",
            "tokens seen so far, this query's included",
            ColumnKind::row,
            [](std::string_view arguments, [[maybe_unused]] std::size_t tokens) -> std::unique_ptr<ColumnState> {
                require_no_arguments("sequence_len", arguments);
                return std::make_unique<UniformState>(
                    [](const RowContext& row) { return static_cast<double>(row.query + 1); });
            },
            ColumnNeeds::rows,
            last_query,
            ColumnQueries::none};
}

} // namespace evictlab::columns
