// The cached keys and values of a sequence, as llama_state_seq_get_data() writes them: parsed to the last byte, and
// written anew with fewer cells. The format is internal to llama.cpp; what differs from the one that is known here is
// an Error, and prove_round_trip() proves at start that the rest is understood. Where some layers have a sliding
// window, a second cache follows, which is written back as it is. SPDX-License-Identifier: MIT
#pragma once
#include <llama.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "engine/cache_layout.hpp"

namespace evictlab::engine {

/// Cells that stay: [CacheLayout::full's place][KV head][kept], ascending, of every head as many.
using KeptCells = std::vector<std::vector<std::vector<std::uint32_t>>>;

class CacheState {
public:
    /// Of sequence 0 in a context. Throws Error.
    CacheState(llama_context* context, const CacheLayout& layout);
    /// The same of bytes. Throws Error where they are not a state of that layout.
    CacheState(std::vector<std::uint8_t> bytes, const CacheLayout& layout);

    const std::vector<std::uint8_t>& bytes() const { return bytes_; }
    std::size_t cells() const { return positions_.size(); }
    std::span<const std::int32_t> positions() const { return positions_; }
    std::size_t dim() const { return dim_; }
    std::size_t kv_heads() const { return kv_heads_; }
    std::size_t bytes_of_cell() const;                           ///< of keys and values, all full layers
    std::size_t sliding_cells() const { return sliding_cells_; } ///< of the second cache
    std::size_t bytes_of_sliding_cell() const { return sliding_row_bytes_; }

    /// [kv_heads][cells][dim], as floats, in the order that the model has. `at`: CacheLayout::full's place.
    std::vector<float> keys(std::size_t at) const { return floats(keys_[at]); }
    std::vector<float> values(std::size_t at) const { return floats(values_[at]); }

    /// The state in which cell j of full layer l and head h holds what cell kept[l][h][j] holds here. `positions` are
    /// the new cells', as many as are kept. The second cache is as here.
    std::vector<std::uint8_t> with_cells(const KeptCells& kept, std::span<const std::int32_t> positions) const;

private:
    struct Rows {
        ggml_type type = GGML_TYPE_F16;
        std::size_t bytes = 0, at = 0; ///< of a cell's row; where the first number of the first one is
        bool transposed = false;       ///< the numbers of all cells' rows at one place follow one another
    };
    class Reader;
    void parse_full(Reader& in, std::size_t layers);
    void parse_sliding(Reader& in, std::size_t layers);
    std::vector<float> floats(const Rows& rows) const;
    std::size_t place(const Rows& rows, std::size_t cell, std::size_t x, std::size_t cells) const;

    std::vector<std::uint8_t> bytes_;
    std::vector<std::int32_t> positions_;
    std::vector<Rows> keys_, values_;
    std::size_t kv_heads_, dim_ = 0;
    std::size_t sliding_at_ = 0, sliding_cells_ = 0, sliding_row_bytes_ = 0; ///< where the second cache begins
};

/// Makes the bytes the whole of the context's sequence 0. Throws Error where llama.cpp does not take them.
void restore(llama_context* context, std::span<const std::uint8_t> bytes);

} // namespace evictlab::engine
