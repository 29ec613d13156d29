// SPDX-License-Identifier: MIT
#include "framework/columns/states.hpp"

namespace evictlab::columns {

ColumnInfo describe_relative_pos() {
    return {"relative_pos",
            "the query's position minus the token's: its age in queries, from 0",
            ColumnKind::token,
            [](std::string_view arguments, [[maybe_unused]] std::size_t tokens) -> std::unique_ptr<ColumnState> {
                require_no_arguments("relative_pos", arguments);
                return std::make_unique<RowState>(&RowContext::relative_pos);
            },
            ColumnNeeds::rows,
            last_query,
            ColumnQueries::none};
}

} // namespace evictlab::columns
