// SPDX-License-Identifier: MIT
#include "framework/columns/lag.hpp"
#include "framework/columns/states.hpp"

namespace evictlab::columns {

ColumnInfo describe_lag_value() {
    return {"lag_value",
            "how the token's value spreads over its channels by the range of the partition that follows, softmax over "
            "its own "
            "partition (LagKV): lag_value:T:sinks=S (128, 4)",
            ColumnKind::token,
            [](std::string_view arguments, std::size_t tokens) -> std::unique_ptr<ColumnState> {
                return make_lag("lag_value", arguments, tokens, &HeadTensors::v);
            },
            ColumnNeeds::tensors,
            last_query,
            ColumnQueries::none};
}

} // namespace evictlab::columns
