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
/// O(queries looked back to x n) attention in blocks of queries. Where something was evicted before (LayerView's
/// positions), attention is over what is cached now. Not thread-safe.
class PromptColumns {
public:
    /// `rows` may be null where no column follows from queries.
    PromptColumns(const LayerView& view, const AttentionRows* rows, std::span<const ColumnId> ids,
                  bool measure_time = false);
    ColumnBoard& columns() { return board_; }
    /// Where time was measured: what these columns took, as if they were alone, with the rows of attention that they
    /// look at.
    double seconds(std::span<const ColumnId> ids) const;

private:
    void feed(const LayerView& view, const AttentionRows* rows, const ColumnDemand& demand);
    void place(const LayerView& view, std::size_t head, RowContext& row);
    void add_up_layer(const LayerView& view, const float* rows, std::size_t head_stride, std::size_t stride);
    ColumnBoard board_;
    // What the last row refers to: columns may hand out a row's own arrays.
    Ages ages_;
    std::vector<std::vector<double>> key_norms_, attention_; ///< [kv_head]
    std::vector<double> layer_attention_;                    ///< of each KV head where something was evicted before
    std::vector<std::vector<double>> ages_of_;               ///< likewise, [kv_head]
    double norm_seconds_ = 0;                                ///< of key_norms_
    std::vector<double> row_seconds_;                        ///< of the rows that were computed, the oldest first
};

} // namespace evictlab
