// The columns of one captured layer at the end of its prompt: what the protocol `prefill` lets a scorer see.
// SPDX-License-Identifier: MIT
#pragma once
#include <span>
#include <vector>

#include "framework/attention/attention_rows.hpp"
#include "framework/scoring/column_board.hpp"
#include "framework/scoring/layer_pass.hpp"

namespace evictlab {

/// Feeds a board the rows that its columns look back to; values are then those after query n - 1. Computes
/// O(queries looked back to x n) attention in blocks of queries. Not thread-safe.
class PromptColumns {
public:
    /// `rows` may be null where no column follows from queries.
    PromptColumns(const LayerView& view, const AttentionRows* rows, std::span<const ColumnId> ids);
    ColumnBoard& columns() { return board_; }

private:
    void feed(const LayerView& view, const AttentionRows* rows, const ColumnDemand& demand);
    ColumnBoard board_;
    // What the last row refers to: columns may hand out a row's own arrays.
    Ages ages_;
    std::vector<std::vector<double>> key_norms_, attention_; ///< [kv_head]
    std::vector<double> layer_attention_;
};

} // namespace evictlab
