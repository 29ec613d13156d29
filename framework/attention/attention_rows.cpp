// SPDX-License-Identifier: MIT
#include "framework/attention/attention_rows.hpp"

#include <algorithm>

#include "framework/attention/matmul.hpp"
#include "framework/attention/softmax.hpp"

namespace evictlab {

AttentionRows::AttentionRows(const LayerView& layer)
    : layer_(layer), stride_(padded_columns(layer.shape.tokens)),
      keys_(layer.shape.kv_heads * layer.shape.dim * stride_) {
    const std::size_t dim = layer.shape.dim;
    for (std::size_t a = 0; a < layer.shape.kv_heads; ++a)
        transpose(layer.key(a, 0), dim, layer.shape.tokens, dim, keys_.data() + a * dim * stride_, stride_);
}

void AttentionRows::compute(std::size_t head, std::size_t first, std::size_t count, float* out) const {
    const LayerShape& shape = layer_.shape;
    const float* keys = keys_.data() + head / shape.group() * shape.dim * stride_;
    matmul(layer_.query(head, first), shape.dim, keys, stride_, out, stride_, count, shape.dim,
           padded_columns(first + count));
    const std::size_t window = layer_.sliding_window;
    for (std::size_t r = 0; r < count; ++r) {
        const std::size_t end = first + r + 1;
        softmax(out + r * stride_, window > 0 && window < end ? end - window : 0, end, stride_, layer_.softmax_scale);
    }
}

} // namespace evictlab
