// A text on its way through a model: a context, what it has cached, and the queries that scorers are shown of it.
// SPDX-License-Identifier: MIT
#pragma once
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "engine/cache_state.hpp"
#include "engine/model.hpp"
#include "engine/query_tap.hpp"
#include "framework/cut/shape.hpp"

namespace evictlab::engine {

/// What is cached of a text, as scorers are shown it. Refers to its parts.
struct Cached {
    const Model& model;
    const CacheState& state;
    const QueryTap& tap;
    const KeptCells& positions;                ///< of cached tokens, in the text; empty where they are 0, 1, 2, ...
    std::span<const std::uint8_t> token_types; ///< [next], of all tokens of the text so far
    std::size_t next;                          ///< position of the next token
};

/// A copy of what is cached of a text, from which sequences can go on.
struct Snapshot {
    const Model* model;
    CacheState state;
    QueryTap tap;
    KeptCells positions;
    std::vector<std::uint8_t> token_types;
    std::size_t next;
    Cached cached() const { return {*model, state, tap, positions, token_types, next}; }
};

/// Which recorded queries go along with what stays of a cache.
struct Carried {
    bool of_cells = false;  ///< those of the kept cells, of a cache that has them all
    std::size_t latest = 0; ///< else so many of the latest tokens
};

/// Its model must outlive it. One thread at a time.
class Sequence {
public:
    Sequence(const Model& model, const ContextOptions& options);
    Sequence(const Sequence&) = delete; // the context refers to the tap

    /// From here on queries are recorded, but of the next `skip` tokens; and, even where that is `skip_all`, what else
    /// scorers are told of the layers' attention.
    void record_queries(std::size_t skip);
    static constexpr auto skip_all = static_cast<std::size_t>(-1);
    void record_no_queries() { tap_.stop(); }

    /// Runs tokens at the next positions; logits behind the last, until it runs again. Throws Error; what was run until
    /// then is cached.
    std::span<const float> feed(std::span<const llama_token> tokens);
    /// The same, and the logits behind each of them.
    std::vector<std::vector<float>> feed_for_all(std::span<const llama_token> tokens);

    std::size_t cells() const { return cells_; } ///< cached tokens
    std::size_t capacity() const { return llama_n_ctx(context_.get()); }
    std::size_t next_position() const { return next_; } ///< of the text, whatever is gone of it
    const QueryTap& tap() const { return tap_; }
    const Model& model() const { return *model_; }
    llama_context* context() const { return context_.get(); }

    CacheState state() const { return {context_.get(), model_->layout()}; }
    Cached cached(const CacheState& state) const { return {*model_, state, tap_, positions_, types_, next_}; }
    Snapshot snapshot() const { return {model_, state(), tap_, positions_, types_, next_}; }

    /// Becomes `from`, which may be this one's, with the kept cells alone; the same positions follow. Where sets differ
    /// (head, layer) the positions that llama.cpp has of cells become those right before the next, for they serve the
    /// causal mask alone, as keys are stored turned; with `model` they stay, but for the last one's, as llama.cpp takes
    /// no gap before the next token. Throws Error; then this sequence holds nothing.
    void become(const Cached& from, const KeptCells& kept, Granularity granularity, const Carried& carried = {});
    /// Becomes the snapshot as it is.
    void become(const Snapshot& from);

    /// Forgets the `count` oldest tokens behind the first `keep` and moves those behind them, and the next position,
    /// to where these were: llama.cpp's context shift, by its own functions. Queries are not kept. Throws Error.
    void shift(std::size_t keep, std::size_t count);
    /// The second half of it, where the tokens are gone already.
    void close_gap(std::size_t keep, std::size_t count);

    void clear(); ///< forgets all

private:
    void hold(std::span<const std::uint8_t> state);
    void feed_batch(std::span<const llama_token> tokens, bool all);

    const Model* model_;
    QueryTap tap_;
    Context context_;
    std::size_t cells_ = 0, next_ = 0;
    KeptCells positions_; ///< as Cached has them
    std::vector<std::uint8_t> types_;
};

/// All cells of all heads.
KeptCells all_cells(const CacheState& state, std::size_t layers);

/// Proves on the first tokens of a text that this llama.cpp's states are understood: read, written and given to another
/// context, they are the same bytes, and the same logits follow. Error that says what differs, or that the model's
/// attention is of a kind that is not handled.
void prove_round_trip(const Model& model, std::span<const llama_token> text, const ContextOptions& options);

} // namespace evictlab::engine
