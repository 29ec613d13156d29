// The cached keys and values of a sequence, as llama_state_seq_get_data() writes them: parsed to the last byte, and
// written anew with fewer cells. The format is internal to llama.cpp; what differs from the one that is known here is
// an Error, and round_trip.hpp proves at start that the rest is understood. SPDX-License-Identifier: MIT
#pragma once
#include <llama.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace evictlab::engine {

/// Cells that stay: [layer][KV head][kept], ascending, of every head as many.
using KeptCells = std::vector<std::vector<std::vector<std::uint32_t>>>;

class CacheState {
public:
    /// Of sequence 0 in a context of `layers` layers with `kv_heads` heads each. Throws Error.
    CacheState(llama_context* context, std::size_t layers, std::size_t kv_heads);
    /// The same of bytes. Throws Error where they are not a state of that shape.
    CacheState(std::vector<std::uint8_t> bytes, std::size_t layers, std::size_t kv_heads);

    const std::vector<std::uint8_t>& bytes() const { return bytes_; }
    std::size_t cells() const { return positions_.size(); }
    std::span<const std::int32_t> positions() const { return positions_; }
    std::size_t dim() const { return dim_; }
    std::size_t kv_heads() const { return kv_heads_; }
    std::size_t bytes_of_cell() const; ///< of keys and values, all layers

    /// [kv_heads][cells][dim], as floats, in the order that the model has.
    std::vector<float> keys(std::size_t layer) const { return floats(keys_[layer]); }
    std::vector<float> values(std::size_t layer) const { return floats(values_[layer]); }

    /// The state in which cell j of layer l and head h holds what cell kept[l][h][j] holds here. `positions` are the
    /// new cells', as many as are kept.
    std::vector<std::uint8_t> with_cells(const KeptCells& kept, std::span<const std::int32_t> positions) const;

private:
    struct Rows {
        ggml_type type = GGML_TYPE_F16;
        std::size_t row_bytes = 0, at = 0; ///< where the first cell's row begins
    };
    void parse(std::size_t layers);
    std::vector<float> floats(const Rows& rows) const;

    std::vector<std::uint8_t> bytes_;
    std::vector<std::int32_t> positions_;
    std::vector<Rows> keys_, values_;
    std::size_t kv_heads_, dim_ = 0;
};

/// Makes the bytes the whole of the context's sequence 0. Throws Error where llama.cpp does not take them.
void restore(llama_context* context, std::span<const std::uint8_t> bytes);

} // namespace evictlab::engine
