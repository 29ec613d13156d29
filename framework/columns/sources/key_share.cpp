// SPDX-License-Identifier: MIT
#include "framework/columns/squared_share.hpp"
#include "framework/columns/states.hpp"

namespace evictlab::columns {

ColumnInfo describe_key_share() {
    return {"key_share",
            "squared L2 norm of the token's key over the sum of those in its block of W positions (CUR): "
            "key_share:W (16); key_share:0 is the squared norm itself",
            ColumnKind::token,
            [](std::string_view arguments, std::size_t tokens) -> std::unique_ptr<ColumnState> {
                return make_squared_share("key_share", arguments, tokens, &HeadTensors::k);
            },
            ColumnNeeds::tensors,
            last_query,
            ColumnQueries::none};
}

} // namespace evictlab::columns
