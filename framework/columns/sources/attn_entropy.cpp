// SPDX-License-Identifier: MIT
#include "base/numeric/sums.hpp"
#include "framework/columns/states.hpp"

namespace evictlab::columns {

ColumnInfo describe_attn_entropy() {
    return {"attn_entropy", "sum of -a ln a of the attention a to the token over all queries so far, this one included",
            ColumnKind::token,
            [](std::string_view arguments, [[maybe_unused]] std::size_t tokens) -> std::unique_ptr<ColumnState> {
                require_no_arguments("attn_entropy", arguments);
                return std::make_unique<RunningSum>(tokens, numeric::accumulate_entropy);
            }};
}

} // namespace evictlab::columns
