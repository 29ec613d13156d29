// SPDX-License-Identifier: MIT
#include "base/numeric/sums.hpp"
#include "framework/columns/states.hpp"

namespace evictlab::columns {

ColumnInfo describe_cumulative_attn() {
    return {"cumulative_attn", "sum of the attention to the token over all queries so far, this one included",
            ColumnKind::token,
            [](std::string_view arguments, [[maybe_unused]] std::size_t tokens) -> std::unique_ptr<ColumnState> {
                require_no_arguments("cumulative_attn", arguments);
                return std::make_unique<RunningSum>(tokens, numeric::accumulate);
            }};
}

} // namespace evictlab::columns
