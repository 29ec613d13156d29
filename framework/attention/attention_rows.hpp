// Rows of attention of one captured layer, computed from its queries and keys a block of queries at a time: memory is
// O(n) for each query in flight, never O(n^2). SPDX-License-Identifier: MIT
#pragma once
#include <cstddef>

#include "base/numeric/aligned.hpp"
#include "framework/layer/layer.hpp"

namespace evictlab {

/// Immutable once made; safe to share between threads. Keeps a transposed copy of the keys and refers to the layer's
/// arrays.
class AttentionRows {
public:
    explicit AttentionRows(const LayerView& layer);

    /// Floats a row: the tokens, padded.
    std::size_t stride() const { return stride_; }
    const LayerView& layer() const { return layer_; }
    /// A[head][i] of query head `head` for `count` queries i from `first` (at least LayerView::first_query) on, into
    /// out[count][stride()]: the softmax over the keys that query i sees (causal, and within the sliding window where
    /// there is one) and that are cached, 0 at all others.
    void compute(std::size_t head, std::size_t first, std::size_t count, float* out) const;

private:
    LayerView layer_;
    std::size_t stride_;
    AlignedFloats keys_; ///< [kv_heads][dim][stride]
};

} // namespace evictlab
