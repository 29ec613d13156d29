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

/// Its model must outlive it. One thread at a time.
class Sequence {
public:
    Sequence(const Model& model, std::uint32_t cells, int threads, ggml_type cache_type);
    Sequence(const Sequence&) = delete; // the context refers to the tap

    /// From here on queries are recorded, but of the next `skip` tokens.
    void record_queries(std::size_t skip);
    void record_no_queries() { tap_.stop(); }

    /// Runs tokens at the next positions; logits behind the last, until it runs again.
    std::span<const float> feed(std::span<const llama_token> tokens);

    /// Forgets the latest tokens, none of which was recorded. Not of an evicted one.
    void rewind(std::size_t tokens);

    std::size_t cells() const { return cells_; } ///< cached tokens
    std::size_t capacity() const { return llama_n_ctx(context_.get()); }
    std::size_t next_position() const { return next_; } ///< of the text, whatever is gone of it
    bool evicted() const { return evicted_; }           ///< places of cached tokens are not their positions any more
    /// [cells]; empty where heads have different tokens in a cell.
    const std::vector<std::uint8_t>& token_types() const { return types_; }
    const QueryTap& tap() const { return tap_; }
    const Model& model() const { return *model_; }
    CacheState state() const { return {context_.get(), model_->layers(), model_->kv_heads()}; }

    /// Becomes `from`, whose state is `state`, with the kept cells alone; the same positions follow. `from` may be this
    /// one. Queries of cached tokens are taken over where `from` has them all. With `head` the cells' positions become
    /// those right before the next, for they serve the causal mask alone, as keys are stored turned; with `model` they
    /// stay, but for the last one's, as llama.cpp takes no gap before the next token.
    void become(const Sequence& from, const CacheState& state, const KeptCells& kept, Granularity granularity);

private:
    const Model* model_;
    QueryTap tap_;
    Context context_;
    std::size_t cells_ = 0, next_ = 0;
    bool evicted_ = false;
    std::vector<std::uint8_t> types_;
};

/// All cells of all heads.
KeptCells all_cells(std::size_t layers, std::size_t kv_heads, std::size_t cells);

/// Proves on the first tokens of a text that this llama.cpp's states are understood: read, written and given to another
/// context, they are the same bytes, and the same logits follow. Error that says what differs, or that the model's
/// attention is of a kind that is not handled.
void prove_round_trip(const Model& model, std::span<const llama_token> text, int threads, ggml_type cache_type);

} // namespace evictlab::engine
