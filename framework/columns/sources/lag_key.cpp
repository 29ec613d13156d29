// SPDX-License-Identifier: MIT
#include "framework/columns/lag.hpp"
#include "framework/columns/states.hpp"

namespace evictlab::columns {

ColumnInfo describe_lag_key() {
    return {"lag_key",
            "how the token's key spreads over its channels by the range of the partition that follows, softmax over "
            "its own "
            "partition (LagKV): lag_key:T:sinks=S (128, 4)",
            ColumnKind::token,
            [](std::string_view arguments, std::size_t tokens) -> std::unique_ptr<ColumnState> {
                return make_lag("lag_key", arguments, tokens, &HeadTensors::k);
            },
            ColumnNeeds::tensors,
            last_query,
            ColumnQueries::none};
}

} // namespace evictlab::columns
