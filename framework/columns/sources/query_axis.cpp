// SPDX-License-Identifier: MIT
#include "framework/columns/calibrated.hpp"
#include "framework/columns/states.hpp"

namespace evictlab::columns {
namespace {

void score(const RowContext& row, double* out) {
    const HeadTensors& t = *row.tensors;
    const float* const axis = calibration_of(t).query_axis.data() + t.kv_head * t.dim;
    for (std::size_t i = 0; i < row.tokens; ++i) {
        const float* const key = t.k + i * t.dim;
        double product = 0;
        for (std::size_t x = 0; x < t.dim; ++x) product += static_cast<double>(axis[x]) * static_cast<double>(key[x]);
        out[i] = -product;
    }
}

} // namespace

ColumnInfo describe_query_axis() {
    return {"query_axis",
            "product of the token's key with the direction in which the queries of its KV head usually point, learned "
            "once for the model (Q-Filters)",
            ColumnKind::token,
            [](std::string_view arguments, std::size_t tokens) -> std::unique_ptr<ColumnState> {
                require_no_arguments("query_axis", arguments);
                return std::make_unique<TensorState>(tokens, score);
            },
            ColumnNeeds::calibration,
            last_query,
            ColumnQueries::none};
}

} // namespace evictlab::columns
