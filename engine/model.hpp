// A model file in llama.cpp, unmodified and used through its public API alone, of a kind that this adapter can evict
// from. SPDX-License-Identifier: MIT
#pragma once
#include <llama.h>

#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "engine/cache_layout.hpp"

namespace evictlab::engine {

class QueryTap;

struct FreeModel {
    bool owned = true;
    void operator()(llama_model* model) const {
        if (owned) llama_model_free(model);
    }
};
struct FreeContext {
    void operator()(llama_context* context) const { llama_free(context); }
};
using Context = std::unique_ptr<llama_context, FreeContext>;

struct ContextOptions {
    std::uint32_t cells = 0; ///< tokens that it holds at least; llama.cpp rounds them up to a multiple of 256
    int threads = 1;
    /// Of keys and values: F16, BF16 or F32. With F32 attention is not flash attention, which would read them in F16.
    ggml_type cache_type = GGML_TYPE_F16;
    const llama_context_params* others = nullptr; ///< what else the context is to be, of which only numbers are read
};

/// For one sequence on the CPU, with flash attention.
llama_context_params cpu_context_params();

constexpr std::uint32_t batch_tokens = 512; ///< at most so many go through the model at once

/// One thread at a time.
class Model {
public:
    /// Throws Error where llama.cpp does not take the file, or its model is one that is refused by name: with a
    /// recurrent state, an encoder, no cache of all tokens, or RoPE other than of pairs of a whole head.
    explicit Model(const std::filesystem::path& gguf);
    /// A model that somebody else opened, from `gguf` ("" where nobody says), and keeps open for as long as this is.
    Model(llama_model* model, const std::filesystem::path& gguf);

    const std::filesystem::path& file() const { return file_; }
    llama_model* get() const { return model_.get(); }
    std::size_t layers() const { return static_cast<std::size_t>(llama_model_n_layer(get())); }
    std::size_t query_heads() const { return static_cast<std::size_t>(llama_model_n_head(get())); }
    std::size_t kv_heads() const { return layout_.kv_heads; }
    const CacheLayout& layout() const { return layout_; }
    std::size_t vocabulary() const;
    bool interleaved_rope() const { return llama_model_rope_type(get()) == LLAMA_ROPE_TYPE_NORM; }

    std::vector<llama_token> tokens(const std::string& text) const; ///< with what the model wants in front
    std::string text(llama_token token, bool special = false) const;
    std::string text(std::span<const llama_token> tokens) const;

    /// `tap` sees what is computed, and must outlive the context. Throws Error.
    Context context(const ContextOptions& options, QueryTap* tap = nullptr) const;

private:
    void check();

    std::filesystem::path file_;
    std::unique_ptr<llama_model, FreeModel> model_;
    CacheLayout layout_;
};

/// Runs up to batch_tokens tokens at positions `first`, `first` + 1, ... behind what is cached. Logits of the last one,
/// which stay until the context runs again; those of all are llama_get_logits_ith()'s where `all` asks for them. Throws
/// Error.
std::span<const float> decode(llama_context* context, std::span<const llama_token> tokens, std::size_t first,
                              bool all = false);

/// What llama.cpp said was wrong since this was last asked, to stand behind a message: " (llama.cpp: ...)", or "".
std::string why_llama_failed();

} // namespace evictlab::engine
