// SPDX-License-Identifier: MIT
#include "framework/columns/states.hpp"

namespace evictlab::columns {

ColumnInfo describe_is_sink() {
    return {"is_sink",
            "1 for the first four tokens, 0 for the others",
            ColumnKind::token,
            [](std::string_view arguments, [[maybe_unused]] std::size_t tokens) -> std::unique_ptr<ColumnState> {
                require_no_arguments("is_sink", arguments);
                return std::make_unique<FixedState>(tokens,
                                                    [](std::size_t position) { return position < 4 ? 1.0 : 0.0; });
            },
            ColumnNeeds::rows,
            last_query,
            ColumnQueries::none};
}

} // namespace evictlab::columns
