// The columns of one captured layer at the end of its prompt: what the protocol `prefill` lets a scorer see.
// SPDX-License-Identifier: MIT
#pragma once
#include <span>
#include <vector>

#include "framework/attention/attention_rows.hpp"
#include "framework/scoring/column_board.hpp"
#include "framework/scoring/layer_pass.hpp"

namespace evictlab {

/// A captured layer as scorers see it: its first `tokens` tokens, all cached. A view of what it is made from.
struct LayerView {
    const AttentionRows* rows = nullptr;
    std::size_t layer = 0, num_layers = 0;
    std::size_t tokens = 0;             ///< n, the prompt
    const double* token_type = nullptr; ///< [n], padded
    /// [query_heads][tokens of the layer], ||W_o[h] v||_1; null where neither the trace nor the suite has it.
    const float* wov_norm = nullptr;
    const LayerArrays* arrays = nullptr; ///< in place of `rows`, where no column follows from queries

    const LayerArrays& tensors() const { return rows ? rows->layer() : *arrays; }
    const LayerShape& shape() const { return tensors().shape; }
};

/// The tensors of one KV head after `queries` queries: all of them cached.
HeadTensors head_tensors(const LayerView& view, std::size_t kv_head, std::size_t queries);

/// L2 norms of the first `tokens` keys of one KV head, [padded(tokens)].
std::vector<double> key_norms(const LayerView& view, std::size_t kv_head, std::size_t tokens);

/// Feeds a board the rows that its columns look back to; values are then those after query n - 1. Computes
/// O(queries looked back to x n) attention in blocks of queries. Not thread-safe.
class PromptColumns {
public:
    PromptColumns(const LayerView& view, std::span<const ColumnId> ids);
    ColumnBoard& columns() { return board_; }

private:
    void feed(const LayerView& view, const ColumnDemand& demand);
    ColumnBoard board_;
    // What the last row refers to: columns may hand out a row's own arrays.
    Ages ages_;
    std::vector<std::vector<double>> key_norms_, attention_; ///< [kv_head]
    std::vector<double> layer_attention_;
};

/// ||W_o[h] v_j||_1 for every query head h and token j, [query_heads][tokens]: CriticalKV's norm (Feng et al. 2025).
/// `o_proj` is [hidden][query_heads * dim].
std::vector<float> wov_norms(const LayerArrays& layer, std::span<const float> o_proj);

} // namespace evictlab
