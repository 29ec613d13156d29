// SPDX-License-Identifier: MIT
#include "framework/evaluation/layer_pass.hpp"

#include <algorithm>

namespace evictlab {

LayerPass::LayerPass(const Trace& trace, std::size_t layer, std::span<const ColumnId> columns)
    : reader_(trace.open_layer(layer)), seq_len_(trace.seq_len()), heads_(trace.heads()),
      head_stride_(reader_->head_stride()) {
    row_.layer = layer;
    row_.num_layers = trace.num_layers();
    row_.token_type = trace.token_type();
    for (const ColumnId id : columns) {
        Column& column = columns_.emplace_back();
        column.kind = columns::kind(id);
        for (std::size_t head = 0; head < heads_; ++head) column.by_head.push_back(columns::make(id, seq_len_));
    }
}

bool LayerPass::advance() {
    if (next_query_ == seq_len_) return false;
    row_.query = next_query_++;
    attention_ = reader_->next_row();
    for (std::size_t head = 0; head < heads_; ++head) {
        row_.attention = attention(head);
        row_.key_norm = reader_->key_norm() + head * head_stride_;
        for (Column& column : columns_) column.by_head[head]->update(row_);
    }
    return true;
}

formula::ColumnView LayerPass::view(std::size_t index, std::size_t head) const {
    const Column& column = columns_[index];
    return {column.by_head[head]->values(), column.kind != ColumnKind::token};
}

const double* LayerPass::filled(std::size_t index, std::ptrdiff_t& stride) {
    Column& column = columns_[index];
    stride = heads_ == 1 ? 0 : static_cast<std::ptrdiff_t>(tokens());
    if (column.kind == ColumnKind::token && heads_ == 1) return column.by_head[0]->values();
    column.filled.resize(heads_ * padded(seq_len_));
    for (std::size_t head = 0; head < heads_; ++head) {
        const double* values = column.by_head[head]->values();
        double* out = column.filled.data() + head * tokens();
        if (column.kind == ColumnKind::token)
            std::copy(values, values + tokens(), out);
        else
            std::fill(out, out + tokens(), *values);
    }
    return column.filled.data();
}

} // namespace evictlab
