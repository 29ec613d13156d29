// SPDX-License-Identifier: MIT
#include "framework/columns/states.hpp"

namespace evictlab::columns {

ColumnInfo describe_wov_norm() {
    return {"wov_norm",
            "L1 norm of the token's value behind the output projection, mean over the query heads of its KV head "
            "(CriticalKV)",
            ColumnKind::token,
            [](std::string_view arguments, std::size_t tokens) -> std::unique_ptr<ColumnState> {
                require_no_arguments("wov_norm", arguments);
                return std::make_unique<TensorState>(tokens, [](const RowContext& row, double* out) {
                    const HeadTensors& t = *row.tensors;
                    for (std::size_t i = 0; i < row.tokens; ++i) {
                        double sum = 0;
                        for (std::size_t h = 0; h < t.group; ++h)
                            sum += static_cast<double>(t.wov_norm[h * t.wov_stride + i]);
                        out[i] = sum / static_cast<double>(t.group);
                    }
                });
            },
            ColumnNeeds::wov_norm,
            last_query,
            ColumnQueries::none};
}

} // namespace evictlab::columns
