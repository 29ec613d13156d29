// SPDX-License-Identifier: MIT
#include <cmath>

#include "framework/columns/window_spread.hpp"

namespace evictlab::columns {

ColumnInfo describe_window_std() {
    return {"window_std",
            "standard deviation of the attention to the token over the last W queries of all query heads of its KV "
            "head: window_std:W (64)",
            ColumnKind::token,
            [](std::string_view arguments, std::size_t tokens) -> std::unique_ptr<ColumnState> {
                return std::make_unique<WindowSpread>(
                    window_argument("window_std", arguments), tokens,
                    [](const std::vector<const double*>& rows, std::size_t, std::size_t token) {
                        double mean = 0, squares = 0;
                        for (const double* row : rows) mean += row[token];
                        mean /= static_cast<double>(rows.size());
                        for (const double* row : rows) squares += (row[token] - mean) * (row[token] - mean);
                        return std::sqrt(squares / static_cast<double>(rows.size()));
                    });
            },
            ColumnNeeds::query_rows,
            [](std::string_view arguments) { return window_argument("window_std", arguments); }};
}

} // namespace evictlab::columns
