// One layer of a model on one sequence: its queries, keys and values, in somebody else's memory or its own.
// SPDX-License-Identifier: MIT
#pragma once
#include <evictlab/scorer.h>

#include <array>
#include <cstddef>
#include <span>
#include <vector>

#include "base/numeric/aligned.hpp"
#include "framework/layer/calibration.hpp"

namespace evictlab {

struct LayerShape {
    std::size_t query_heads = 0;
    std::size_t kv_heads = 0; ///< divides query_heads; query head h reads KV head h / group()
    std::size_t tokens = 0;
    std::size_t dim = 0; ///< of a head; even
    std::size_t group() const { return query_heads / kv_heads; }
    bool operator==(const LayerShape&) const = default;
};

/// What a second pass over the prompt gave, in the order of evictlab-capture's files: of KVzip, KVzip+ and KVgrad. Null
/// where unknown.
using SecondPass = std::array<const float*, 3>;

/// Queries, keys and values of one KV head of a layer, as columns read them. A view.
struct HeadTensors {
    std::size_t group = 0;    ///< query heads of this KV head
    std::size_t dim = 0;      ///< of a head
    std::size_t queries = 0;  ///< seen so far: positions 0 .. queries - 1
    const float* q = nullptr; ///< [group][queries - first_query][dim] with q_stride floats between heads
    std::size_t q_stride = 0, first_query = 0;
    const float* k = nullptr;        ///< [tokens][dim], of the cached tokens
    const float* v = nullptr;        ///< [tokens][dim]
    const float* wov_norm = nullptr; ///< [group][wov_stride], ||W_o v||_1 of the cached tokens; null where unknown
    std::size_t wov_stride = 0;
    const double* wo_gram = nullptr;      ///< [group][dim][dim], as LayerView's; null where unknown
    SecondPass reconstruction{};          ///< each [prompt tokens]
    std::span<const float> rope_inv_freq; ///< [dim / 2]
    float rope_scale = 1;
    float softmax_scale = 0;
    std::size_t kv_head = 0;                       ///< its number in the layer
    const LayerCalibration* calibration = nullptr; ///< of the layer; null where there is none

    /// Of a query head of the group, at a position from first_query on.
    const float* query(std::size_t head, std::size_t position) const {
        return q + head * q_stride + (position - first_query) * dim;
    }
};

/// What attention, columns and scorers read of a layer. A value that refers to memory which must outlive it. Queries,
/// keys and values are as the attention uses them, after RoPE and any normalisation; rows of `dim` lie one after
/// another, with room between heads.
struct LayerView {
    LayerShape shape;
    const float *q = nullptr, *k = nullptr, *v = nullptr; ///< q may be null where nobody reads queries
    std::size_t q_stride = 0, k_stride = 0, v_stride = 0; ///< floats from one head to the next
    std::size_t first_query = 0;                          ///< position of q's first row
    std::span<const float> rope_inv_freq;                 ///< [dim / 2], radians a position; of pairs (t, t + dim/2)
    float rope_scale = 1;                                 ///< what RoPE multiplies cosines and sines by
    float softmax_scale = 0;                              ///< attention = softmax(softmax_scale * q.k)
    std::size_t sliding_window = 0; ///< query i sees keys j with i - j < sliding_window; 0: all keys j <= i
    std::size_t layer = 0, num_layers = 1;
    std::size_t prompt = 0;             ///< n: eviction chooses among the first so many tokens, all of them cached
    const double* token_type = nullptr; ///< [tokens], readable to padded(prompt)
    std::size_t token_type_stride = 0;  ///< from one KV head's to the next one's; 0: they are the same
    /// Where something was evicted before: the ascending positions of the `prompt` tokens that each KV head caches,
    /// which are all that there are, [kv_heads][positions_stride] and readable to padded(prompt). Null: token i is at
    /// i.
    const double* positions = nullptr;
    std::size_t positions_stride = 0;
    std::size_t seen = 0; ///< with `positions`: tokens that there ever were; the next one's position
    /// [query_heads][tokens], ||W_o[h] v||_1 of CriticalKV (Feng et al. 2025); null where nobody knows it.
    const float* wov_norm = nullptr;
    const LayerCalibration* calibration = nullptr; ///< null where there is none
    /// [query_heads][dim][dim], W_o[h]' W_o[h]: lengths behind the output projection; null where nobody knows it.
    const double* wo_gram = nullptr;
    SecondPass reconstruction{}; ///< each [kv_heads][prompt]

    /// Tokens that eviction has seen, those that are gone included.
    std::size_t seen_tokens() const { return positions ? seen : prompt; }
    /// How many of a KV head's tokens are before a position.
    std::size_t tokens_before(std::size_t kv_head, std::size_t position) const;
    const float* query(std::size_t head, std::size_t position) const {
        return q + head * q_stride + (position - first_query) * shape.dim;
    }
    const float* key(std::size_t kv_head, std::size_t position) const {
        return k + kv_head * k_stride + position * shape.dim;
    }
    const float* value(std::size_t kv_head, std::size_t position) const {
        return v + kv_head * v_stride + position * shape.dim;
    }
    /// One KV head after `queries` queries, all of whose tokens are cached.
    HeadTensors head(std::size_t kv_head, std::size_t queries) const;
    /// L2 norms of a head's first `count` keys, [padded(count)].
    std::vector<double> key_norms(std::size_t kv_head, std::size_t count) const;
    /// The prompt as the plugin contract has it, without attention of the last queries.
    evl_tensors tensors() const;
};

/// A layer that owns its arrays: q is [query_heads][tokens][dim], k and v are [kv_heads][tokens][dim], contiguous,
/// 64-byte aligned, all values finite. The other fields are LayerView's.
struct OwnedLayer {
    LayerShape shape;
    AlignedFloats q, k, v;
    std::vector<float> rope_inv_freq;
    float rope_scale = 1, softmax_scale = 0;
    std::size_t sliding_window = 0;
    std::size_t layer = 0, num_layers = 1, prompt = 0;
    const double* token_type = nullptr;            ///< of the trace that it was loaded from
    std::vector<float> wov_norm;                   ///< empty where unknown
    const LayerCalibration* calibration = nullptr; ///< of the trace that it was loaded from; may be null
    std::vector<double> wo_gram;                   ///< empty where unknown
    std::vector<float> reconstruction; ///< [3][kv_heads][prompt], of a second pass; empty where there was none

    LayerView view() const; ///< of this object's memory
};

} // namespace evictlab
