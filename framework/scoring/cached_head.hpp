// The KV cache of one captured layer while decoding: what is kept of its tokens, and the attention over that.
// SPDX-License-Identifier: MIT
#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "framework/columns/column.hpp"
#include "framework/layer/layer.hpp"

namespace evictlab {

/// One KV head. Tokens are in order of position; slots are indices among them. Not thread-safe; refers to the view, of
/// which a token is read when it is added.
class CachedHead {
public:
    /// Holds at most all tokens of the layer; empty at first.
    CachedHead(const LayerView& view, std::size_t kv_head);

    void add(std::size_t position);                  ///< behind the last one
    void keep(std::span<const std::uint32_t> slots); ///< forgets the others; ascending
    std::size_t tokens() const { return tokens_; }
    std::size_t position(std::size_t slot) const { return static_cast<std::size_t>(position_[slot]); }

    /// The query at `position`, that of the last token: each query head's softmax over the cached tokens that it sees.
    void attend(std::size_t position);
    std::size_t group() const { return shape_.group(); }
    const float* attention(std::size_t g) const { return rows_.data() + g * stride_; }        ///< [tokens]
    const float* output(std::size_t g) const { return outputs_.data() + g * output_stride_; } ///< [dim]
    /// That row as columns see it, but for what only the layer knows. Valid until the next call of add or keep.
    RowContext row();

private:
    const LayerView& view_;
    LayerShape shape_;
    std::size_t head_, stride_, output_stride_, tokens_ = 0, query_ = 0;
    std::vector<double> position_, relative_, key_norm_, token_type_; ///< [slots]
    AlignedFloats k_, v_;                                             ///< [slots][dim]
    AlignedFloats keys_;                                              ///< [dim][stride_], transposed
    AlignedFloats wov_norm_;                                          ///< [group][stride_]; empty where unknown
    AlignedFloats rows_, outputs_;
    std::vector<double> attention_, query_attention_; ///< mean of the group; [group][stride_]
    HeadTensors tensors_;
};

} // namespace evictlab
