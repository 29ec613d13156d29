// SPDX-License-Identifier: MIT
#include "framework/columns/states.hpp"

namespace evictlab::columns {

ColumnInfo describe_token_type() {
    return {"token_type",
            "0 word, 1 punctuation or space, 2 special, 3 number",
            ColumnKind::token,
            [](std::string_view arguments, [[maybe_unused]] std::size_t tokens) -> std::unique_ptr<ColumnState> {
                require_no_arguments("token_type", arguments);
                return std::make_unique<RowState>(&RowContext::token_type);
            },
            ColumnNeeds::rows,
            last_query,
            ColumnQueries::none};
}

} // namespace evictlab::columns
