// SPDX-License-Identifier: MIT
#include "framework/scoring/layer_pass.hpp"

#include <algorithm>

namespace evictlab {

Ages::Ages(std::size_t tokens) : tokens_(tokens), positions_(padded(tokens)), ages_(tokens + row_padding) {
    for (std::size_t i = 0; i < positions_.size(); ++i) positions_[i] = static_cast<double>(i);
    for (std::size_t i = 0; i < ages_.size(); ++i) ages_[i] = static_cast<double>(tokens - 1) - static_cast<double>(i);
}

LayerPass::LayerPass(const Trace& trace, std::size_t layer, std::span<const ColumnId> columns)
    : reader_(trace.open_layer(layer)), seq_len_(trace.seq_len()), heads_(trace.heads()),
      head_stride_(reader_->head_stride()), ages_(seq_len_), board_(columns, heads_, seq_len_) {
    row_.layer = layer;
    row_.num_layers = trace.num_layers();
    row_.sliding_window = reader_->sliding_window();
    row_.token_type = trace.token_type();
    row_.position = ages_.position();
    if (heads_ > 1 && demand_of(columns).layer_history > 0) layer_attention_.resize(padded(seq_len_));
}

std::vector<std::span<const double>> LayerPass::lasting_arrays() const {
    const auto ages = ages_.arrays();
    return {ages[0], ages[1], {reader_->key_norm(), (heads_ - 1) * head_stride_ + padded(seq_len_)}};
}

bool LayerPass::advance() {
    if (next_query_ == seq_len_) return false;
    row_.query = next_query_++;
    row_.tokens = row_.query + 1;
    row_.relative_pos = ages_.relative_pos(row_.query);
    attention_ = reader_->next_row();
    row_.layer_attention = layer_attention_.empty() ? attention_ : layer_attention_.data();
    if (!layer_attention_.empty())
        for (std::size_t i = 0; i < row_.tokens; ++i) {
            double sum = 0;
            for (std::size_t head = 0; head < heads_; ++head) sum += attention(head)[i];
            layer_attention_[i] = sum / static_cast<double>(heads_);
        }
    for (std::size_t head = 0; head < heads_; ++head) {
        row_.attention = attention(head);
        row_.key_norm = reader_->key_norm() + head * head_stride_;
        board_.update(head, row_);
    }
    return true;
}

} // namespace evictlab
