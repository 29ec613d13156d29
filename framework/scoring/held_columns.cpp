// SPDX-License-Identifier: MIT
#include "framework/scoring/held_columns.hpp"

#include <algorithm>

namespace evictlab {

HeldColumn hold_column(ColumnBoard& board, std::size_t place, std::size_t heads) {
    const std::size_t n = board.tokens(), width = padded(n);
    std::ptrdiff_t from_stride = 0;
    const double* const from = board.filled(place, from_stride);
    const std::size_t copies = from_stride == 0 ? 1 : heads;
    auto values = std::make_shared<std::vector<double>>(copies * width);
    for (std::size_t h = 0; h < copies; ++h)
        std::copy_n(from + static_cast<std::ptrdiff_t>(h) * from_stride, n,
                    values->begin() + static_cast<std::ptrdiff_t>(h * width));
    return {std::move(values), copies > 1 ? static_cast<std::ptrdiff_t>(width) : 0};
}

ColumnValues HeldColumns::filled(ColumnId id) const {
    const HeldColumn& column = columns_[places_.of(id)];
    return {column.values->data(), column.head_stride};
}

formula::ColumnView HeldColumns::view(ColumnId id, std::size_t kv_head) const {
    const ColumnValues values = filled(id);
    return {values.data + static_cast<std::ptrdiff_t>(kv_head) * values.head_stride,
            columns::kind(id) != ColumnKind::token};
}

} // namespace evictlab
