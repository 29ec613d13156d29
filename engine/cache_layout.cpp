// SPDX-License-Identifier: MIT
#include "engine/cache_layout.hpp"

#include <algorithm>
#include <memory>
#include <numeric>

#include "base/error.hpp"
#include "engine/model.hpp"

namespace evictlab::engine {
namespace {

/// The caches that each layer's flash attention reads keys from, in the order of layers.
struct SeenCaches {
    std::vector<const ggml_tensor*> of_layer;

    static bool on_eval(ggml_tensor* tensor, bool ask, void* seen) {
        if (!ask || tensor->op != GGML_OP_FLASH_ATTN_EXT) return true;
        const ggml_tensor* keys = tensor->src[1];
        while (keys->view_src == nullptr && keys->src[0] != nullptr) keys = keys->src[0]; // F32 is cast to F16 first
        static_cast<SeenCaches*>(seen)->of_layer.push_back(keys->view_src != nullptr ? keys->view_src : keys);
        return true;
    }
};

} // namespace

std::size_t CacheLayout::sliding_capacity(std::size_t cells) const {
    if (sliding.empty()) return 0;
    return (std::min<std::size_t>(cells, window + batch_tokens) + 255) / 256 * 256;
}

CacheLayout layout_of(llama_model* model) {
    CacheLayout layout;
    layout.kv_heads = static_cast<std::size_t>(llama_model_n_head_kv(model));
    layout.full.resize(static_cast<std::size_t>(llama_model_n_layer(model)));
    std::iota(layout.full.begin(), layout.full.end(), std::size_t{0});
    const auto window = static_cast<std::size_t>(llama_model_n_swa(model));
    if (window == 0) return layout;

    // In a context that is longer than the window's cache needs to be, the two caches have different sizes.
    llama_context_params params = cpu_context_params();
    params.n_ctx = static_cast<std::uint32_t>((window + 2 * batch_tokens) / 256 * 256 + 256);
    SeenCaches seen;
    params.cb_eval = SeenCaches::on_eval;
    params.cb_eval_user_data = &seen;
    const Context context(llama_init_from_model(model, params));
    if (!context) throw Error("llama.cpp cannot make a context" + why_llama_failed());
    const llama_token first = 0;
    decode(context.get(), {&first, 1}, 0);

    const std::vector<std::size_t> all = std::move(layout.full);
    layout.full.clear();
    if (seen.of_layer.size() != all.size()) {
        layout.refusal = "not all of its layers compute flash attention, where queries are read";
        return layout;
    }
    for (const std::size_t number : all) {
        const ggml_tensor* cache = seen.of_layer[number];
        if (std::ranges::count(seen.of_layer, cache) > 1) layout.refusal = "some of its layers share keys and values";
        (cache->ne[1] == params.n_ctx ? layout.full : layout.sliding).push_back(number);
    }
    if (!layout.sliding.empty()) layout.window = window;
    if (layout.full.empty())
        layout.refusal = "all of its layers have a sliding window, so that no cache grows with the text";
    return layout;
}

} // namespace evictlab::engine
