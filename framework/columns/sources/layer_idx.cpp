// SPDX-License-Identifier: MIT
#include "framework/columns/states.hpp"

namespace evictlab::columns {

ColumnInfo describe_layer_idx() {
    return {"layer_idx",
            "the layer, from 0",
            ColumnKind::layer,
            [](std::string_view arguments, [[maybe_unused]] std::size_t tokens) -> std::unique_ptr<ColumnState> {
                require_no_arguments("layer_idx", arguments);
                return std::make_unique<UniformState>(
                    [](const RowContext& row) { return static_cast<double>(row.layer); });
            },
            ColumnNeeds::rows,
            last_query,
            ColumnQueries::none};
}

} // namespace evictlab::columns
