// One layer at one moment as scorers see it: its columns, and where they ask for them its tensors.
// SPDX-License-Identifier: MIT
#pragma once
#include <cstddef>
#include <vector>

#include "framework/attention/attention_rows.hpp"
#include "framework/scorers/scorer.hpp"
#include "framework/scoring/column_board.hpp"
#include "framework/scoring/column_places.hpp"

namespace evictlab {

/// A column of a layer: head h's n values start at data + h * head_stride and are readable to padded(n). A column with
/// one value for all tokens holds n copies of it.
struct ColumnValues {
    const double* data = nullptr;
    std::ptrdiff_t head_stride = 0; ///< 0: all heads share them
};

/// The columns of a layer. Not thread-safe; what it hands out holds until the layer's next row.
class LayerColumns {
public:
    virtual ~LayerColumns() = default;
    virtual ColumnValues filled(ColumnId id) const = 0;                           ///< as plugins get it
    virtual formula::ColumnView view(ColumnId id, std::size_t kv_head) const = 0; ///< as formulas read it
};

/// Those of a board. Refers to both.
class BoardColumns final : public LayerColumns {
public:
    BoardColumns(const ColumnPlaces& places, ColumnBoard& board) : places_(places), board_(board) {}
    ColumnValues filled(ColumnId id) const override;
    formula::ColumnView view(ColumnId id, std::size_t kv_head) const override {
        return board_.view(places_.of(id), kv_head);
    }

private:
    const ColumnPlaces& places_;
    ColumnBoard& board_;
};

/// A view: columns and tensors must outlive it.
struct LayerInput {
    std::size_t layer = 0, num_layers = 1;
    std::size_t heads = 0;                    ///< KV heads
    std::size_t tokens = 0;                   ///< n, cached ones
    std::size_t sequence_len = 0;             ///< tokens seen so far
    const LayerColumns* columns = nullptr;    ///< gives any of Scorer::columns()
    const evl_tensors* tensors = nullptr;     ///< of a scorer with wants_tensors()
    const Calibration* calibration = nullptr; ///< of a scorer with tables()
};

/// What a layer's scorers read at the end of the prompt. Refers to the view, the rows and the columns; `rows` may be
/// null where no scorer asks for the attention of the last queries. Not thread-safe.
class PromptInput {
public:
    PromptInput(const LayerView& view, const AttentionRows* rows, const LayerColumns& columns);
    /// With as many queries' attention as this scorer asks for, whatever others do. Until the next call.
    const LayerInput& of(const Scorer& scorer);

private:
    void read_window(std::uint64_t queries);
    const AttentionRows* rows_;
    std::vector<float> window_attn_;
    evl_tensors tensors_;
    LayerInput input_;
};

} // namespace evictlab
