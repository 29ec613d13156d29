// The prompt once, without eviction; then for each scorer what it keeps, and how the text goes on from there.
// SPDX-License-Identifier: MIT
#pragma once
#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "engine/continuation.hpp"
#include "engine/eviction.hpp"

namespace evictlab::engine {

struct Plan {
    Cut cut;
    std::size_t every = 0; ///< tokens behind the prompt between evictions to the same number of cells; 0: no more
    std::size_t cache = 0; ///< cells through which the prompt goes, too, `every` tokens at a time; 0: it is read whole
    std::size_t generate = 0; ///< tokens that the model is to say
    int threads = 1;
    ggml_type cache_type = GGML_TYPE_F16;
};

struct Cache {
    std::size_t cells = 0, capacity = 0, bytes_of_cell = 0;
    std::size_t bytes() const { return cells * bytes_of_cell; }
    std::size_t allocated() const { return capacity * bytes_of_cell; }
};

struct Full {
    Spent prompt;
    Cache cache; ///< behind the prompt
    Continuation continuation;
    std::string text; ///< what the model says; "" where it is not asked to
};

struct Evicted {
    std::string scorer, hash;
    Cache cache;               ///< right behind the prompt's eviction
    std::size_t evictions = 0; ///< the prompt's, and those on the way through the continuation
    Spent scoring, rewriting;  ///< of all these: libevictlab; reading, writing and restoring the state
    Difference difference;
    std::vector<Spent> times; ///< of the continuation's tokens
    std::string text;
};

/// The model, the plan and the prompt must outlive it.
class Experiment {
public:
    /// Runs the prompt and the continuation, `given` or, where that is empty, what the model says. `queries`: the
    /// latest ones that some scorer reads. Throws Error.
    Experiment(const Model& model, const Plan& plan, std::span<const llama_token> prompt,
               std::span<const llama_token> given, std::uint64_t queries);

    const Full& full() const { return full_; }
    Evicted run(const Scorer& scorer) const;

private:
    /// Evicts the sequence anew where it has `limit` cells, to make room for the next tokens.
    void make_room(const Scorer& scorer, Sequence& sequence, std::size_t limit, Evicted& counts) const;
    /// The prompt through a small cache, evicted as it goes.
    void stream(const Scorer& scorer, Sequence& sequence, Evicted& counts) const;
    /// Goes on from `start`, whose kept cells are `kept`, along the continuation and, where asked for, freely.
    void go_on(const Scorer& scorer, const Sequence& start, const CacheState& state, const KeptCells& kept,
               Evicted& out) const;

    const Model& model_;
    const Plan& plan_;
    std::span<const llama_token> tokens_;
    Sequence prompt_; ///< as it is behind the prompt
    Spent reading_;   ///< of its state
    std::unique_ptr<CacheState> state_;
    llama_token first_ = 0; ///< the likeliest behind the prompt
    Full full_;
};

} // namespace evictlab::engine
