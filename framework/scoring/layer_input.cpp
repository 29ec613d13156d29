// SPDX-License-Identifier: MIT
#include "framework/scoring/layer_input.hpp"

#include <algorithm>

namespace evictlab {

ColumnValues BoardColumns::filled(ColumnId id) const {
    ColumnValues values;
    values.data = board_.filled(places_.of(id), values.head_stride);
    return values;
}

PromptInput::PromptInput(const LayerView& view, const AttentionRows* rows, const LayerColumns& columns)
    : rows_(rows), tensors_(view.tensors()) {
    input_.layer = view.layer;
    input_.num_layers = view.num_layers;
    input_.heads = view.shape.kv_heads;
    input_.tokens = view.prompt;
    input_.sequence_len = view.seen_tokens();
    input_.columns = &columns;
    input_.calibration = view.calibration ? view.calibration->whole : nullptr;
}

void PromptInput::read_window(std::uint64_t queries) {
    const std::size_t n = input_.tokens, count = std::min<std::size_t>(queries, n);
    if (count == tensors_.window_queries) return;
    const std::size_t heads = tensors_.query_heads, stride = rows_->stride();
    AlignedFloats rows(count * stride);
    window_attn_.resize(heads * count * n);
    for (std::size_t h = 0; h < heads; ++h) {
        rows_->compute(h, n - count, count, rows.data());
        for (std::size_t i = 0; i < count; ++i)
            std::copy_n(rows.data() + i * stride, n, window_attn_.data() + (h * count + i) * n);
    }
    tensors_.window_queries = count;
    tensors_.window_attn = count > 0 ? window_attn_.data() : nullptr;
}

const LayerInput& PromptInput::of(const Scorer& scorer) {
    if (scorer.wants_tensors()) read_window(scorer.tensor_window());
    input_.tensors = scorer.wants_tensors() ? &tensors_ : nullptr;
    return input_;
}

} // namespace evictlab
