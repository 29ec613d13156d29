// evictlab_llama.h. SPDX-License-Identifier: MIT
#include <evictlab/evictlab_llama.h>

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstring>
#include <memory>
#include <numeric>
#include <string>
#include <vector>

#include "base/error.hpp"
#include "capi/guard.hpp"
#include "engine/stream.hpp"

using namespace evictlab;
using namespace evictlab::engine;
using capi::guarded;
using capi::require;

struct evl_llama {
    evl_llama(llama_model* open, const char* file, const ContextOptions& context, ScorerPolicy by,
              const evl_llama_options& options)
        : model(open, file == nullptr ? "" : file), policy(std::move(by)), sequence(model, context),
          stream(sequence, policy, options.cells, options.every) {}

    Model model;
    ScorerPolicy policy;
    Sequence sequence;
    Stream stream;
};

namespace {

/// The options as far as the caller knows them, checked.
evl_llama_options checked(const evl_llama_options& given) {
    evl_llama_options options{};
    constexpr std::uint64_t least = offsetof(evl_llama_options, granularity);
    if (given.struct_size < least || given.struct_size > 4096)
        throw UsageError(fmt::format("options.struct_size is {}, not sizeof(evl_llama_options), which is {}",
                                     given.struct_size, sizeof options));
    std::memcpy(&options, &given, std::min<std::size_t>(given.struct_size, sizeof options));
    require(options.scorer, "options.scorer");
    if (options.cells < 2 || options.cells > (1U << 30))
        throw UsageError(fmt::format("options.cells is {}, but must be from 2 to 2^30", options.cells));
    if (options.every < 1 || options.every >= options.cells)
        throw UsageError(fmt::format("options.every is {}, but must be from 1 to {}, below options.cells",
                                     options.every, options.cells - 1));
    if (options.granularity > EVL_LLAMA_MODEL)
        throw UsageError(
            fmt::format("options.granularity is {}, not EVL_LLAMA_HEAD or EVL_LLAMA_MODEL", options.granularity));
    if (options.scoring_threads > 512)
        throw UsageError(
            fmt::format("options.scoring_threads is {}, but must be 512 at most", options.scoring_threads));
    return options;
}

ContextOptions context_of(const llama_context_params& params, const evl_llama_options& options) {
    if (params.cb_eval != nullptr)
        throw UsageError("params.cb_eval is set, but it is what the library reads queries by");
    if (params.type_k != params.type_v)
        throw UsageError(fmt::format("params.type_k is {} and type_v {}, but both must be the same",
                                     ggml_type_name(params.type_k), ggml_type_name(params.type_v)));
    if (params.type_k != GGML_TYPE_F16 && params.type_k != GGML_TYPE_BF16 && params.type_k != GGML_TYPE_F32)
        throw UsageError(fmt::format("params.type_k is {}, but only caches of F16, BF16 and F32 are handled",
                                     ggml_type_name(params.type_k)));
    if (params.n_threads < 1 || params.n_threads > 512)
        throw UsageError(fmt::format("params.n_threads is {}, but must be from 1 to 512", params.n_threads));
    return {static_cast<std::uint32_t>(options.cells), params.n_threads, params.type_k, &params};
}

/// Some tokens to prove the cache by.
std::vector<llama_token> any_tokens(const Model& model) {
    std::vector<llama_token> tokens(std::min<std::size_t>(32, model.vocabulary()));
    std::iota(tokens.begin(), tokens.end(), 0);
    return tokens;
}

std::unique_ptr<evl_llama> open(llama_model* model, const llama_context_params& params,
                                const evl_llama_options& options) {
    const ContextOptions context = context_of(params, options);
    const int threads = options.scoring_threads > 0 ? static_cast<int>(options.scoring_threads) : context.threads;
    constexpr std::array granularities{Granularity::head, Granularity::layer, Granularity::model};
    Cut cut{{}, threads};
    cut.shape.granularity = granularities[options.granularity];
    Scorer scorer(options.scorer);
    if (options.model_file == nullptr && (scorer.needs().wov_norm == 1 || scorer.needs().wo_gram == 1))
        throw UsageError(
            fmt::format("scorer '{}' reads the model's output projections: options.model_file must name the "
                        "GGUF file",
                        scorer.text()));
    auto text = std::make_unique<evl_llama>(model, options.model_file, context,
                                            ScorerPolicy(std::move(scorer), cut, true), options);
    prove_round_trip(text->model, any_tokens(text->model), context);
    text->sequence.record_queries(text->policy.queries() > 0 ? 0 : Sequence::skip_all);
    return text;
}

void check(const Model& model, const llama_token* tokens, std::uint64_t count) {
    for (std::uint64_t i = 0; i < count; ++i)
        if (tokens[i] < 0 || static_cast<std::size_t>(tokens[i]) >= model.vocabulary())
            throw UsageError(
                fmt::format("tokens[{}] is {}, but the model has {} tokens", i, tokens[i], model.vocabulary()));
}

} // namespace

extern "C" {

evl_status evl_llama_open(struct llama_model* model, const struct llama_context_params* params,
                          const evl_llama_options* options, evl_llama** text, evl_failure* failure) {
    return guarded(failure, [&] {
        require(model, "model");
        require(options, "options");
        require(text, "text");
        const llama_context_params usual = llama_context_default_params();
        *text = open(model, params == nullptr ? usual : *params, checked(*options)).release();
    });
}

void evl_llama_close(evl_llama* text) { delete text; }

struct llama_context* evl_llama_context(const evl_llama* text) {
    return text == nullptr ? nullptr : text->sequence.context();
}

evl_status evl_llama_feed(evl_llama* text, const llama_token* tokens, uint64_t count, evl_failure* failure) {
    return guarded(failure, [&] {
        require(text, "text");
        if (count == 0) return;
        require(tokens, "tokens");
        if (count > (1U << 30) || text->sequence.next_position() + count > (1U << 30))
            throw UsageError("the text would have more than 2^30 tokens");
        check(text->model, tokens, count);
        text->stream.feed({tokens, static_cast<std::size_t>(count)});
    });
}

evl_status evl_llama_evict(evl_llama* text, uint64_t keep, evl_failure* failure) {
    return guarded(failure, [&] {
        require(text, "text");
        if (keep == 0) throw UsageError("keep is 0, but at least one token must stay");
        text->stream.evict(static_cast<std::size_t>(keep));
    });
}

void evl_llama_clear(evl_llama* text) {
    if (text != nullptr) text->sequence.clear();
}

uint64_t evl_llama_cells(const evl_llama* text) { return text == nullptr ? 0 : text->sequence.cells(); }
uint64_t evl_llama_position(const evl_llama* text) { return text == nullptr ? 0 : text->sequence.next_position(); }
uint64_t evl_llama_evictions(const evl_llama* text) { return text == nullptr ? 0 : text->stream.costs().evictions; }

} // extern "C"
