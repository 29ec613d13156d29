// SPDX-License-Identifier: MIT
#include "framework/columns/states.hpp"

namespace evictlab::columns {

ColumnInfo describe_key_norm() {
    return {"key_norm",
            "L2 norm of the token's key",
            ColumnKind::token,
            [](std::string_view arguments, [[maybe_unused]] std::size_t tokens) -> std::unique_ptr<ColumnState> {
                require_no_arguments("key_norm", arguments);
                return std::make_unique<RowState>(&RowContext::key_norm);
            },
            ColumnNeeds::rows,
            last_query,
            ColumnQueries::none};
}

} // namespace evictlab::columns
