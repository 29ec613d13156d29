// Columns of a layer that stay when the board that they were computed on is gone. SPDX-License-Identifier: MIT
#pragma once
#include <memory>
#include <vector>

#include "framework/scoring/layer_input.hpp"

namespace evictlab {

/// One column. Immutable; copies share the values.
struct HeldColumn {
    std::shared_ptr<const std::vector<double>> values; ///< [heads][padded tokens], or [padded tokens] for all heads
    std::ptrdiff_t head_stride = 0;
};

/// Copies the column at `place` of a board.
HeldColumn hold_column(ColumnBoard& board, std::size_t place, std::size_t heads);

/// Immutable; safe to share between threads.
class HeldColumns final : public LayerColumns {
public:
    HeldColumns() = default;
    /// [place]
    HeldColumns(ColumnPlaces places, std::vector<HeldColumn> columns)
        : places_(std::move(places)), columns_(std::move(columns)) {}
    ColumnValues filled(ColumnId id) const override;
    formula::ColumnView view(ColumnId id, std::size_t kv_head) const override;

private:
    ColumnPlaces places_;
    std::vector<HeldColumn> columns_;
};

} // namespace evictlab
