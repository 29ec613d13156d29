// Queries as attention uses them, taken from llama.cpp while it computes: the input of each layer's attention, flash or
// not, behind RoPE and any norm; a factor behind RoPE counts to the scale of products. With them what else attention is
// told: its scale, and how RoPE turned them. SPDX-License-Identifier: MIT
#pragma once
#include <ggml.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace evictlab::engine {

/// How a layer's queries and keys were turned, and by what their products are multiplied.
struct LayerAttention {
    float rope_base = 0, rope_factor = 0; ///< angle of pair t at position p: p * factor * base^(-2 t / dim)
    float softmax_scale = 0;
    bool operator==(const LayerAttention&) const = default;
};

/// Records while it is a context's `tap`, a batch of at most batch_tokens at a time. Vectors are in the order of
/// half-split RoPE (pairs t and t + dim / 2), whatever the model's is.
class QueryTap {
public:
    /// Of `layers` layers those in `seen` are recorded. `interleaved`: the model's RoPE turns pairs 2t and 2t + 1.
    QueryTap(std::size_t layers, std::vector<std::size_t> seen, bool interleaved);

    /// Queries are wanted from here on; those from before the next `skip` tokens are not. Tokens in the order of
    /// decoding.
    void record(std::size_t skip);
    void stop() { recording_ = false; }

    std::size_t query_heads() const { return heads_; }
    std::size_t dim() const { return dim_; }
    std::size_t rows() const; ///< queries that are held, of the latest tokens
    const LayerAttention& attention(std::size_t layer) const { return layers_[layer].attention; }
    /// [rows][query_heads][dim].
    const std::vector<float>& queries(std::size_t layer) const { return layers_[layer].queries; }

    /// Holds from now on the queries of `from` (it may be this one) at kept[place in `seen`][KV head][row]. Query heads
    /// follow one another in groups, one a KV head.
    void take_over(const QueryTap& from, const std::vector<std::vector<std::vector<std::uint32_t>>>& kept);
    /// The same of so many of the latest tokens, as far as they are there.
    void take_latest(const QueryTap& from, std::size_t count);

    /// Why what was seen is no attention that scorers can be asked about; "" where it is. After a batch was decoded.
    std::string refusal() const;

    static bool on_eval(ggml_tensor* tensor, bool ask, void* tap); ///< ggml_backend_sched_eval_callback

private:
    struct Layer {
        bool seen = false;
        LayerAttention attention;
        float query_factor = 1; ///< of queries, before softmax_scale's
        std::vector<float> queries;
        std::size_t skip = 0;
    };
    void note_queries(const ggml_tensor* queries, Layer& layer);
    void note_scale(const ggml_tensor* attention, Layer& layer);
    void take(const ggml_tensor* queries, Layer& layer);
    void refuse(const char* why) {
        if (refusal_.empty()) refusal_ = why;
    }

    bool interleaved_, recording_ = true, complete_ = false;
    std::size_t heads_ = 0, dim_ = 0, next_ = 0;
    std::vector<std::size_t> seen_;
    std::vector<Layer> layers_;
    std::string refusal_;
};

/// Reorders a vector from interleaved to half-split pairs.
void to_half_split(std::span<float> vector);

} // namespace evictlab::engine
