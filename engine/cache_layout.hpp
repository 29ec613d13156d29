// Which of a model's layers llama.cpp caches whole, and which it keeps the last tokens of, for their sliding window.
// SPDX-License-Identifier: MIT
#pragma once
#include <llama.h>

#include <cstddef>
#include <string>
#include <vector>

namespace evictlab::engine {

struct CacheLayout {
    std::vector<std::size_t> full;    ///< the model's numbers of layers that are evicted from, ascending
    std::vector<std::size_t> sliding; ///< of those that stay as they are: a second cache has the window's tokens
    std::size_t kv_heads = 0;
    std::size_t window = 0; ///< tokens; 0 where no layer slides
    /// Cells that llama.cpp makes for the sliding layers of a context of so many.
    std::size_t sliding_capacity(std::size_t cells) const;
    std::string refusal; ///< why such caches are not handled; "" where they are
};

/// Where some layers slide, llama.cpp is asked by running one token.
CacheLayout layout_of(llama_model* model);

} // namespace evictlab::engine
