// One layer's queries, keys and values: in somebody else's memory, or its own. SPDX-License-Identifier: MIT
#pragma once
#include <cstddef>
#include <span>
#include <vector>

#include "base/numeric/aligned.hpp"

namespace evictlab {

struct LayerShape {
    std::size_t query_heads = 0;
    std::size_t kv_heads = 0; ///< divides query_heads; query head h reads KV head h / group()
    std::size_t tokens = 0;
    std::size_t dim = 0; ///< of a head; even
    std::size_t group() const { return query_heads / kv_heads; }
    bool operator==(const LayerShape&) const = default;
};

/// Queries, keys and values of one layer in somebody else's memory: as LayerTensors, but with room between heads. Rows
/// of `dim` lie one after another.
struct LayerArrays {
    LayerShape shape;
    const float *q = nullptr, *k = nullptr, *v = nullptr; ///< q may be null where nobody reads queries
    std::size_t q_stride = 0, k_stride = 0, v_stride = 0; ///< floats from one head to the next
    std::size_t first_query = 0;                          ///< position of q's first row
    std::span<const float> rope_inv_freq;
    float rope_scale = 1, softmax_scale = 0;
    std::size_t sliding_window = 0;

    const float* query(std::size_t head, std::size_t position) const {
        return q + head * q_stride + (position - first_query) * shape.dim;
    }
    const float* key(std::size_t kv_head, std::size_t position) const {
        return k + kv_head * k_stride + position * shape.dim;
    }
    const float* value(std::size_t kv_head, std::size_t position) const {
        return v + kv_head * v_stride + position * shape.dim;
    }
};

/// One held layer, dequantised. q is [query_heads][tokens][dim], k and v are [kv_heads][tokens][dim]: contiguous,
/// 64-byte aligned, as the attention uses them (after RoPE and any normalisation of queries and keys), all values
/// finite.
struct LayerTensors {
    LayerShape shape;
    AlignedFloats q, k, v;
    std::vector<float> rope_inv_freq; ///< [dim / 2], radians a position; of pairs (t, t + dim/2)
    float rope_scale = 1;             ///< what RoPE multiplies cosines and sines by
    float softmax_scale = 0;          ///< attention = softmax(softmax_scale * q.k)
    std::size_t sliding_window = 0;   ///< query i sees keys j with i - j < sliding_window; 0: all keys j <= i
    std::vector<float> wov_l1;        ///< [query_heads][tokens], of CriticalKV; empty where the trace has none

    LayerArrays arrays() const; ///< of this object's memory
};

} // namespace evictlab
