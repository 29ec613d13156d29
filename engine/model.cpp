// SPDX-License-Identifier: MIT
#include "engine/model.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <mutex>
#include <utility>

#include "base/error.hpp"
#include "base/input/input.hpp"
#include "base/text/shown.hpp"
#include "engine/query_tap.hpp"

namespace evictlab::engine {
namespace {

std::mutex last_words_lock;
std::string last_words; ///< of llama.cpp, which logs what went wrong instead of returning it

void keep_last_words(ggml_log_level level, const char* said, void*) {
    const std::lock_guard guard(last_words_lock);
    if (level == GGML_LOG_LEVEL_ERROR && last_words.size() < 1000) last_words += said;
}

void begin() {
    static const bool begun = [] {
        llama_log_set(keep_last_words, nullptr);
        llama_backend_init();
        return true;
    }();
    (void)begun;
}

/// Why its caches cannot be evicted from; "" where they can.
std::string refusal(const llama_model* model) {
    if (llama_model_is_recurrent(model) || llama_model_is_hybrid(model))
        return "it carries a recurrent state along, from which no token can be taken out";
    if (llama_model_has_encoder(model) || !llama_model_has_decoder(model)) return "it is not a decoder alone";
    if (llama_model_is_diffusion(model)) return "it predicts by diffusion, not one token after another";
    const llama_rope_type rope = llama_model_rope_type(model);
    if (rope != LLAMA_ROPE_TYPE_NORM && rope != LLAMA_ROPE_TYPE_NEOX)
        return "its positions are not RoPE of one number a token";
    if (llama_model_n_head_kv(model) < 1 || llama_model_n_head(model) % llama_model_n_head_kv(model) != 0)
        return "its layers do not all have attention with the same heads";
    return "";
}

} // namespace

std::string why_llama_failed() {
    const std::lock_guard guard(last_words_lock);
    const std::string words = text::sentence(std::exchange(last_words, ""), 300);
    return words.empty() ? "" : " (llama.cpp: " + words + ")";
}

Model::Model(const std::filesystem::path& gguf) : file_(gguf) {
    begin();
    try {
        const input::Input readable(gguf, input::Accept::files);
    } catch (const input::Problem& problem) {
        throw UsageError(fmt::format("model {} {}", text::named(gguf.string(), 200), problem.what()));
    }
    llama_model_params params = llama_model_default_params();
    params.n_gpu_layers = 0;
    model_.reset(llama_model_load_from_file(gguf.c_str(), params));
    if (!model_)
        throw Error(fmt::format("llama.cpp cannot open {}: is it a GGUF model that this version knows?{}",
                                text::named(gguf.string(), 200), why_llama_failed()));
    check();
}

Model::Model(llama_model* model, const std::filesystem::path& gguf) : file_(gguf), model_(model, FreeModel{false}) {
    check();
}

void Model::check() {
    std::string why = refusal(get());
    if (why.empty()) {
        layout_ = layout_of(get());
        why = layout_.refusal;
    }
    if (!why.empty())
        throw Error(fmt::format("{} is refused: {} (docs/llama.md says which models are taken)",
                                file_.empty() ? "the model" : text::named(file_.string(), 200), why));
}

std::size_t Model::vocabulary() const {
    return static_cast<std::size_t>(llama_vocab_n_tokens(llama_model_get_vocab(get())));
}

std::vector<llama_token> Model::tokens(const std::string& text) const {
    const llama_vocab* vocab = llama_model_get_vocab(get());
    std::vector<llama_token> found(text.size() + 8);
    const auto write = [&] {
        return llama_tokenize(vocab, text.data(), static_cast<std::int32_t>(text.size()), found.data(),
                              static_cast<std::int32_t>(found.size()), true, false);
    };
    int count = write();
    if (count < 0 && count > std::numeric_limits<std::int32_t>::min()) { // so many there are
        found.resize(static_cast<std::size_t>(-count));
        count = write();
    }
    if (count < 0) throw Error("llama.cpp cannot make tokens of the text" + why_llama_failed());
    found.resize(static_cast<std::size_t>(count));
    return found;
}

std::string Model::text(llama_token token, bool special) const {
    std::string piece(64, '\0');
    const llama_vocab* vocab = llama_model_get_vocab(get());
    const auto write = [&] {
        return llama_token_to_piece(vocab, token, piece.data(), static_cast<std::int32_t>(piece.size()), 0, special);
    };
    int size = write();
    if (size < 0) {
        piece.resize(static_cast<std::size_t>(-size));
        size = write();
    }
    piece.resize(static_cast<std::size_t>(size));
    return piece;
}

std::string Model::text(std::span<const llama_token> tokens) const {
    std::string all;
    for (const llama_token token : tokens) all += text(token);
    return all;
}

llama_context_params cpu_context_params() {
    llama_context_params params = llama_context_default_params();
    params.n_batch = params.n_ubatch = batch_tokens;
    params.n_seq_max = 1;
    params.flash_attn_type = LLAMA_FLASH_ATTN_TYPE_ENABLED;
    params.offload_kqv = params.op_offload = false;
    params.swa_full = false; // a layer that slides keeps its window
    return params;
}

Context Model::context(const ContextOptions& options, QueryTap* tap) const {
    llama_context_params params = cpu_context_params();
    if (options.others != nullptr) {
        params.rope_scaling_type = options.others->rope_scaling_type;
        params.rope_freq_base = options.others->rope_freq_base;
        params.rope_freq_scale = options.others->rope_freq_scale;
        params.yarn_orig_ctx = options.others->yarn_orig_ctx;
        params.no_perf = options.others->no_perf;
    }
    // A state has the window's tokens for the layers that slide, however few are left of the others.
    const std::size_t least = layout_.sliding.empty() ? 0 : layout_.window + batch_tokens;
    params.n_ctx = std::max(options.cells, static_cast<std::uint32_t>(least));
    params.n_threads = params.n_threads_batch = options.threads;
    params.type_k = params.type_v = options.cache_type;
    if (options.cache_type == GGML_TYPE_F32) params.flash_attn_type = LLAMA_FLASH_ATTN_TYPE_DISABLED; // it reads F16
    if (tap != nullptr) {
        params.cb_eval = QueryTap::on_eval;
        params.cb_eval_user_data = tap;
    }
    Context context(llama_init_from_model(get(), params));
    if (!context)
        throw Error(fmt::format("llama.cpp cannot make a context of {} tokens{}", params.n_ctx, why_llama_failed()));
    return context;
}

std::span<const float> decode(llama_context* context, std::span<const llama_token> tokens, std::size_t first,
                              bool all) {
    llama_batch batch = llama_batch_init(static_cast<std::int32_t>(tokens.size()), 0, 1);
    batch.n_tokens = static_cast<std::int32_t>(tokens.size());
    for (std::size_t i = 0; i < tokens.size(); ++i) {
        batch.token[i] = tokens[i];
        batch.pos[i] = static_cast<llama_pos>(first + i);
        batch.n_seq_id[i] = 1;
        batch.seq_id[i][0] = 0;
        batch.logits[i] = all || i + 1 == tokens.size() ? 1 : 0;
    }
    const int code = llama_decode(context, batch);
    llama_batch_free(batch);
    if (code != 0)
        throw Error(fmt::format("llama.cpp cannot run {} tokens at position {} (code {}){}", tokens.size(), first, code,
                                why_llama_failed()));
    const auto vocabulary =
        static_cast<std::size_t>(llama_vocab_n_tokens(llama_model_get_vocab(llama_get_model(context))));
    return {llama_get_logits_ith(context, -1), vocabulary};
}

} // namespace evictlab::engine
