// SPDX-License-Identifier: MIT
#include <cmath>

#include "framework/columns/window_spread.hpp"

namespace evictlab::columns {
namespace {

double mean_surprise(const std::vector<const double*>& rows, std::size_t, std::size_t token) {
    double sum = 0;
    for (const double* row : rows) sum -= row[token] * std::log(row[token] + 1e-10);
    return sum / static_cast<double>(rows.size());
}

} // namespace

ColumnInfo describe_window_entropy() {
    return {"window_entropy",
            "the token's part of the entropy of the attention: -a ln(a + 1e-10), mean over the last W queries of all "
            "query heads of its KV head (CAKE): window_entropy:W (64)",
            ColumnKind::token,
            [](std::string_view arguments, std::size_t tokens) -> std::unique_ptr<ColumnState> {
                return std::make_unique<WindowSpread>(window_argument("window_entropy", arguments), tokens,
                                                      mean_surprise);
            },
            ColumnNeeds::query_rows,
            [](std::string_view arguments) { return window_argument("window_entropy", arguments); }};
}

} // namespace evictlab::columns
