// SPDX-License-Identifier: MIT
#include "base/numeric/vectors.hpp"
#include "framework/columns/states.hpp"

namespace evictlab::columns {

ColumnInfo describe_value_norm() {
    return {"value_norm",
            "L2 norm of the token's value",
            ColumnKind::token,
            [](std::string_view arguments, std::size_t tokens) -> std::unique_ptr<ColumnState> {
                require_no_arguments("value_norm", arguments);
                return std::make_unique<TensorState>(tokens, [](const RowContext& row, double* out) {
                    const HeadTensors& t = *row.tensors;
                    for (std::size_t i = 0; i < row.tokens; ++i) out[i] = numeric::norm(t.v + i * t.dim, t.dim);
                });
            },
            ColumnNeeds::tensors,
            last_query,
            ColumnQueries::none};
}

} // namespace evictlab::columns
