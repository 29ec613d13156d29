// SPDX-License-Identifier: MIT
#include "framework/columns/states.hpp"

namespace evictlab::columns {

ColumnInfo describe_layer_ratio() {
    return {"layer_ratio",
            "layer_idx / num_layers, in [0, 1)",
            ColumnKind::layer,
            [](std::string_view arguments, [[maybe_unused]] std::size_t tokens) -> std::unique_ptr<ColumnState> {
                require_no_arguments("layer_ratio", arguments);
                return std::make_unique<UniformState>([](const RowContext& row) {
                    return static_cast<double>(row.layer) / static_cast<double>(row.num_layers);
                });
            },
            ColumnNeeds::rows,
            last_query,
            ColumnQueries::none};
}

} // namespace evictlab::columns
