// SPDX-License-Identifier: MIT
#include <algorithm>

#include "framework/columns/window_spread.hpp"

namespace evictlab::columns {

ColumnInfo describe_window_max() {
    return {"window_max",
            "largest attention to the token in the last W queries of any query head of its KV head: window_max:W (64)",
            ColumnKind::token,
            [](std::string_view arguments, std::size_t tokens) -> std::unique_ptr<ColumnState> {
                return std::make_unique<WindowSpread>(
                    window_argument("window_max", arguments), tokens,
                    [](const std::vector<const double*>& rows, std::size_t, std::size_t token) {
                        double most = 0;
                        for (const double* row : rows) most = std::max(most, row[token]);
                        return most;
                    });
            },
            ColumnNeeds::query_rows,
            [](std::string_view arguments) { return window_argument("window_max", arguments); }};
}

} // namespace evictlab::columns
