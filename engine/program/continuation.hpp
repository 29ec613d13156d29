// A text behind the prompt: given, or what the model says; and how predictions under eviction differ from those
// without. SPDX-License-Identifier: MIT
#pragma once
#include <cstddef>
#include <functional>
#include <span>
#include <vector>

#include "engine/model.hpp"
#include "engine/spent.hpp"

namespace evictlab::engine {

struct Continuation {
    std::vector<llama_token> tokens;        ///< that were fed, one at a time
    std::vector<std::vector<float>> logits; ///< behind each of them
    std::vector<Spent> times;               ///< of each
};

/// Runs tokens behind what is cached, and gives the logits behind the last.
using Feed = std::function<std::span<const float>(std::span<const llama_token>)>;

/// Feeds the tokens one by one, whatever the model would say.
Continuation follow(const Feed& feed, std::span<const llama_token> tokens);
/// Feeds what the model finds likeliest, beginning with `first`, up to `count` tokens; an end of text is the last.
Continuation generate(const Feed& feed, const Model& model, llama_token first, std::size_t count);

llama_token likeliest(std::span<const float> logits);

/// Of predictions behind the same tokens. In nats, as evictlab-verdict has them: target i is the token that follows
/// position i, and the last position has none.
struct Difference {
    double kl = 0;                              ///< mean KL(full || evicted) over positions
    double perplexity_full = 0, perplexity = 0; ///< exp of the targets' mean negative log-likelihood; 0 of no targets
    double agreement = 0;                       ///< share of positions whose likeliest token is the same
};
Difference compare(const Continuation& full, const Continuation& evicted);

} // namespace evictlab::engine
