// Columns of a layer whose values a test makes. SPDX-License-Identifier: MIT
#pragma once
#include <functional>

#include "framework/scoring/layer_input.hpp"

namespace evictlab::test {

struct MadeColumns final : LayerColumns {
    std::function<ColumnValues(ColumnId)> of;

    ColumnValues filled(ColumnId id) const override { return of(id); }
    formula::ColumnView view(ColumnId id, std::size_t kv_head) const override {
        const ColumnValues values = of(id);
        return {values.data + static_cast<std::ptrdiff_t>(kv_head) * values.head_stride,
                columns::kind(id) != ColumnKind::token};
    }
};

} // namespace evictlab::test
