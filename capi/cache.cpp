// The cache of one layer while decoding. SPDX-License-Identifier: MIT
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <optional>

#include "capi/guard.hpp"
#include "capi/layer_scores.hpp"
#include "capi/selection.hpp"
#include "framework/capture/stored_types.hpp"
#include "framework/cut/budget.hpp"
#include "framework/protocols/layer_decoding.hpp"

using namespace evictlab;

struct evl_cache {
    evl_cache(const evl_scorer& scorer, const LayerView& prompt, std::size_t room, const Shape& shape)
        : own(scorer.shared ? std::nullopt : std::optional<ScorerRun>(scorer.scorer)),
          decoding(own ? *own : *scorer.shared, prompt, room, shape), query_heads(prompt.shape.query_heads),
          dim(prompt.shape.dim), longest(room), norms(prompt.wov_norm != nullptr) {}

    std::optional<ScorerRun> own;
    LayerDecoding decoding;
    std::size_t query_heads, dim, longest;
    bool norms;          ///< the prompt's were given
    bool failed = false; ///< heads may have parted from what the scorer saw
};

namespace {

Shape checked_shape(const evl_scorer& scorer, const evl_shape* given) {
    evl_selection asked{};
    asked.shape = given;
    const Shape shape = capi::shape_of(asked, scorer);
    check_shape("decode", shape, false);
    if (const std::string why = decoding_refusal(scorer.scorer, shape); !why.empty())
        throw UsageError(fmt::format("scorer '{}' {}", scorer.scorer.label(), why));
    return shape;
}

double removed_of(const evl_cache_plan& plan, std::size_t n) {
    const double removed = plan.keep > 0 ? removed_fraction_for_kept(n, plan.keep) : plan.removed;
    capi::check_removed(removed);
    return removed;
}

void check_vectors(const char* name, const float* from, std::ptrdiff_t stride, std::size_t heads, std::size_t dim) {
    capi::require(from, name);
    for (std::size_t h = 0; h < heads; ++h)
        if (!all_finite(from + static_cast<std::ptrdiff_t>(h) * stride, dim))
            throw Error(fmt::format("{} has a value that is not finite at head {}", name, h));
}

DecodedToken checked_token(const evl_cache& cache, const evl_token* given) {
    capi::require(given, "token");
    const evl_token token = capi::known_part(*given, "token");
    check_vectors("token.q", token.q, token.q_head_stride, cache.query_heads, cache.dim);
    check_vectors("token.k", token.k, token.k_head_stride, cache.decoding.kv_heads(), cache.dim);
    check_vectors("token.v", token.v, token.v_head_stride, cache.decoding.kv_heads(), cache.dim);
    if (cache.norms) check_vectors("token.wov_norm", token.wov_norm, 1, cache.query_heads, 1);
    if (token.token_type > 3)
        throw UsageError(fmt::format("token.token_type is {}, but must be from 0 to 3", token.token_type));
    return {token.q,
            token.k,
            token.v,
            token.q_head_stride,
            token.k_head_stride,
            token.v_head_stride,
            token.wov_norm,
            static_cast<double>(token.token_type)};
}

void write(const KeptSets& sets, std::size_t stride, std::uint32_t* places, std::uint64_t* counts) {
    for (std::size_t h = 0; h < sets.size(); ++h) {
        std::ranges::copy(sets[h], places + h * stride);
        counts[h] = sets[h].size();
    }
}

} // namespace

extern "C" {

evl_status evl_cache_fits(const evl_scorer* scorer, const evl_shape* shape, evl_failure* failure) {
    return capi::guarded(failure, [&] {
        capi::require(scorer, "scorer");
        (void)checked_shape(*scorer, shape);
    });
}

evl_status evl_cache_open(const evl_scorer* scorer, const evl_layer* prompt, const evl_cache_plan* plan,
                          uint32_t* places, uint64_t* counts, evl_cache** cache, evl_failure* failure) {
    return capi::guarded(failure, [&] {
        capi::require(scorer, "scorer");
        capi::require(plan, "plan");
        capi::require(places, "places");
        capi::require(counts, "counts");
        capi::require(cache, "cache");
        const evl_cache_plan asked = capi::known_part(*plan, "plan");
        const Shape shape = checked_shape(*scorer, asked.shape);
        capi::with_view(*scorer, prompt, [&](const LayerView& view) {
            if (view.positions)
                throw UsageError("prompt.position says that tokens are gone, and a cache begins with a whole prompt");
            if (asked.longest < view.prompt)
                throw UsageError(
                    fmt::format("plan.longest is {}, and the prompt has {} tokens", asked.longest, view.prompt));
            auto opened = std::make_unique<evl_cache>(*scorer, view, asked.longest, shape);
            write(opened->decoding.first(removed_of(asked, view.prompt)), view.prompt, places, counts);
            *cache = opened.release();
        });
    });
}

void evl_cache_close(evl_cache* cache) { delete cache; }

evl_status evl_cache_step(evl_cache* cache, const evl_token* token, uint32_t* places, uint64_t* counts, uint32_t* cut,
                          evl_failure* failure) {
    return capi::guarded(failure, [&] {
        capi::require(cache, "cache");
        capi::require(places, "places");
        capi::require(counts, "counts");
        capi::require(cut, "cut");
        if (cache->failed) throw UsageError("the cache failed before, and can only be closed");
        const DecodedToken given = checked_token(*cache, token);
        cache->failed = true;
        const auto kept =
            cache->decoding.step(given, static_cast<std::size_t>(capi::known_part(*token, "token").capacity));
        cache->failed = false;
        *cut = kept ? 1 : 0;
        if (kept) return write(*kept, cache->longest, places, counts);
        for (std::size_t h = 0; h < cache->decoding.kv_heads(); ++h) counts[h] = cache->decoding.tokens(h);
    });
}

} // extern "C"
