// SPDX-License-Identifier: MIT
#include "framework/columns/states.hpp"

namespace evictlab::columns {

ColumnInfo describe_num_layers() {
    return {"num_layers",
            "layers of the model",
            ColumnKind::layer,
            [](std::string_view arguments, [[maybe_unused]] std::size_t tokens) -> std::unique_ptr<ColumnState> {
                require_no_arguments("num_layers", arguments);
                return std::make_unique<UniformState>(
                    [](const RowContext& row) { return static_cast<double>(row.num_layers); });
            },
            ColumnNeeds::rows,
            last_query,
            ColumnQueries::none};
}

} // namespace evictlab::columns
