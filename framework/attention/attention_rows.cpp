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
    const std::size_t kv_head = head / shape.group(), window = layer_.sliding_window;
    const float* keys = keys_.data() + kv_head * shape.dim * stride_;
    matmul(layer_.query(head, first), shape.dim, keys, stride_, out, stride_, count, shape.dim,
           padded_columns(layer_.tokens_before(kv_head, first + count)));
    for (std::size_t r = 0; r < count; ++r) {
        const std::size_t after = first + r + 1, end = layer_.tokens_before(kv_head, after);
        const std::size_t begin = window > 0 && window < after ? layer_.tokens_before(kv_head, after - window) : 0;
        if (begin < end)
            softmax(out + r * stride_, begin, end, stride_, layer_.softmax_scale);
        else // all that it saw is gone
            std::fill_n(out + r * stride_, stride_, 0.0F);
    }
}

} // namespace evictlab
