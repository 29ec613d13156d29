// The prompt once, without eviction; then for each scorer what it keeps, and how the text goes on from there.
// SPDX-License-Identifier: MIT
#pragma once
#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/program/continuation.hpp"
#include "engine/stream.hpp"

namespace evictlab::engine {

struct Plan {
    Cut cut;
    std::vector<Budget> budgets; ///< of the prompt; none with `cache`
    std::size_t every = 0;       ///< tokens behind the prompt between evictions to the same number of cells; 0: no more
    std::size_t cache = 0; ///< cells through which the prompt goes, too, `every` tokens at a time; 0: it is read whole
    std::size_t generate = 0; ///< tokens that the model is to say
    int threads = 1;
    ggml_type cache_type = GGML_TYPE_F16;
};

struct Cache {
    std::size_t cells = 0, capacity = 0, bytes_of_cell = 0;
    /// Of the second cache, where some layers slide.
    std::size_t sliding_cells = 0, sliding_capacity = 0, bytes_of_sliding_cell = 0;
    std::size_t bytes() const { return cells * bytes_of_cell + sliding_cells * bytes_of_sliding_cell; }
    std::size_t allocated() const { return capacity * bytes_of_cell + sliding_capacity * bytes_of_sliding_cell; }
};

struct Full {
    Spent prompt;
    Cache cache; ///< behind the prompt
    Continuation continuation;
    std::string text; ///< what the model says; "" where it is not asked to
};

struct Evicted {
    std::string scorer, hash;
    std::optional<Budget> budget; ///< that was asked for; nothing with Plan::cache
    Cache cache;                  ///< right behind the prompt's eviction
    Costs costs;                  ///< of the prompt's evictions, and those on the way through the continuation
    Difference difference;
    std::vector<Spent> times; ///< of the continuation's tokens
    bool by_places = false;   ///< Policy's
    std::string text;
};

/// The model, the plan and the prompt must outlive it.
class Experiment {
public:
    /// Runs the prompt and the continuation, `given` or, where that is empty, what the model says. `queries`: the
    /// latest ones that some policy reads. Throws Error.
    Experiment(const Model& model, const Plan& plan, std::span<const llama_token> prompt,
               std::span<const llama_token> given, std::uint64_t queries);

    const Full& full() const { return full_; }
    std::vector<Evicted> run(const Policy& policy) const; ///< one a budget

private:
    ContextOptions context_of(std::size_t cells) const;
    /// The prompt through a small cache, evicted as it goes, and on from there.
    void stream(const Policy& policy, Evicted& out) const;
    /// The prompt's cache, evicted once, and on from there.
    void evict_once(const Policy& policy, const Budget& budget, Evicted& out) const;
    /// Goes on along the continuation and, where asked for, freely from where `begin` sets the stream to.
    void go_on(Stream& stream, const std::function<void()>& begin, Evicted& out) const;

    const Model& model_;
    const Plan& plan_;
    std::span<const llama_token> tokens_;
    Spent reading_;                    ///< of the prompt's state
    std::unique_ptr<Snapshot> prompt_; ///< behind the prompt
    llama_token first_ = 0;            ///< the likeliest behind the prompt
    Full full_;
};

} // namespace evictlab::engine
