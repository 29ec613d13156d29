// SPDX-License-Identifier: MIT
#include "framework/columns/states.hpp"

namespace evictlab::columns {

ColumnInfo describe_position() {
    return {"position",
            "the token's place in the sequence, from 0",
            ColumnKind::token,
            [](std::string_view arguments, [[maybe_unused]] std::size_t tokens) -> std::unique_ptr<ColumnState> {
                require_no_arguments("position", arguments);
                return std::make_unique<RowState>(&RowContext::position);
            },
            ColumnNeeds::rows,
            last_query,
            ColumnQueries::none};
}

} // namespace evictlab::columns
