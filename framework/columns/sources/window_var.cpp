// SPDX-License-Identifier: MIT
#include "framework/columns/window_spread.hpp"

namespace evictlab::columns {
namespace {

double mean_variance(const std::vector<const double*>& rows, std::size_t queries, std::size_t token) {
    if (queries < 2) return 0;
    double squares = 0;
    for (std::size_t first = 0; first < rows.size(); first += queries) {
        double mean = 0;
        for (std::size_t i = 0; i < queries; ++i) mean += rows[first + i][token];
        mean /= static_cast<double>(queries);
        for (std::size_t i = 0; i < queries; ++i)
            squares += (rows[first + i][token] - mean) * (rows[first + i][token] - mean);
    }
    return squares / static_cast<double>(queries - 1) / static_cast<double>(rows.size() / queries);
}

} // namespace

ColumnInfo describe_window_var() {
    return {"window_var",
            "variance of the attention to the token over the last W queries of one query head, with the divisor W - 1, "
            "mean over the query heads of its KV head (CAKE): window_var:W (64)",
            ColumnKind::token,
            [](std::string_view arguments, std::size_t tokens) -> std::unique_ptr<ColumnState> {
                return std::make_unique<WindowSpread>(window_argument("window_var", arguments), tokens, mean_variance);
            },
            ColumnNeeds::query_rows,
            [](std::string_view arguments) { return window_argument("window_var", arguments); }};
}

} // namespace evictlab::columns
