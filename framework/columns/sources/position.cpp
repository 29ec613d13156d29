// SPDX-License-Identifier: MIT
#include "framework/columns/states.hpp"

namespace evictlab::columns {

ColumnInfo describe_position() {
    return {"position", "the token's place in the sequence, from 0", ColumnKind::token,
            [](std::string_view arguments, [[maybe_unused]] std::size_t seq_len) -> std::unique_ptr<ColumnState> {
                require_no_arguments("position", arguments);
                return std::make_unique<FixedState>(seq_len,
                                                    [](std::size_t position) { return static_cast<double>(position); });
            }};
}

} // namespace evictlab::columns
