// SPDX-License-Identifier: MIT
#include "engine/stream.hpp"

#include <algorithm>

namespace evictlab::engine {

std::span<const float> Stream::feed(std::span<const llama_token> tokens) {
    if (every_ == 0) return sequence_.feed(tokens);
    std::span<const float> logits;
    while (!tokens.empty()) {
        if (sequence_.cells() >= cells_) policy_.evict(sequence_, cells_ - every_, costs_);
        const std::size_t count = std::min(tokens.size(), cells_ - sequence_.cells());
        logits = sequence_.feed(tokens.first(count));
        tokens = tokens.subspan(count);
    }
    return logits;
}

} // namespace evictlab::engine
