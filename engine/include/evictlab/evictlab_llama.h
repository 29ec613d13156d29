/* Eviction inside llama.cpp: a conversation of any length through a context of a fixed number of cells, in an
 * unmodified llama.cpp and by its public functions alone. Where the cells are full, a scorer of libevictlab
 * (evictlab.h) says which cached tokens go: by default each KV head of each layer keeps its own. Positions of new
 * tokens stay the text's. C11.
 *
 *     evl_llama_options options = {sizeof options, scorer, 2048, 512};
 *     struct llama_context_params params = llama_context_default_params();
 *     evl_llama* text;  evl_failure why;
 *     if (evl_llama_open(model, &params, &options, &text, &why) != EVL_OK) ...why.text...
 *     evl_llama_feed(text, tokens, count, &why);                   // as often as you like
 *     llama_sampler_sample(sampler, evl_llama_context(text), -1);  // the next token
 *
 * Errors: as in evictlab.h. A function that can fail returns EVL_OK, EVL_FAILED or EVL_USAGE and, where it is not
 * EVL_OK, writes what happened into `failure` (which may be NULL). Nothing exits, prints or throws.
 * Threads: one evl_llama may be used by one thread at a time, several by several threads.
 * What is refused, by name, when a text is opened: models whose attention or cache is of another kind than scorers can
 * be told of, scorers whose heads keep different counts, and a llama.cpp whose saved states are not those that this
 * library knows (docs/llama.md has the list). The library belongs to the llama.cpp that it was built with.
 *
 * SPDX-License-Identifier: MIT */
#ifndef EVICTLAB_EVICTLAB_LLAMA_H
#define EVICTLAB_EVICTLAB_LLAMA_H

#include <evictlab/evictlab.h>
#include <llama.h>

#ifdef __cplusplus
extern "C" {
#endif

/* At which grain tokens go. */
#define EVL_LLAMA_HEAD 0  /* each KV head of each layer keeps its own */
#define EVL_LLAMA_LAYER 1 /* the heads of a layer keep the same: the mean of their scores decides */
#define EVL_LLAMA_MODEL 2 /* all heads and layers keep the same, by the mean of all */

typedef struct evl_llama_options {
    uint64_t struct_size;     /* sizeof(evl_llama_options) as the caller knows it */
    const evl_scorer* scorer; /* must stay open until evl_llama_close */
    uint64_t cells;           /* tokens that are cached at most: 2 or more */
    uint64_t every;       /* tokens that go when the cells are full: 1 to cells - 1. Small is gentle, large is fast */
    uint32_t granularity; /* EVL_LLAMA_HEAD, EVL_LLAMA_LAYER or EVL_LLAMA_MODEL */
    uint32_t scoring_threads; /* 0: as many as the context has */
    const char* model_file;   /* the GGUF file, for scorers that read the model's output projections; or NULL */
} evl_llama_options;

/* A text on its way through a model. */
typedef struct evl_llama evl_llama;

/* Makes a context for one text. `model` must stay open until evl_llama_close. Of `params` (NULL: the defaults) are
 * taken: n_threads; type_k and type_v, which must be the same and F16, BF16 or F32; the RoPE base, scale and original
 * context; no_perf. The rest is the library's: flash attention is on (off where type_k is F32, which it
 * would read as F16), attention and cache are the processor's, batches
 * have 512 tokens, and a cb_eval, which it needs itself, is EVL_USAGE. A model whose layers slide gets at least its
 * window and 512 cells. The caller owns *text, until evl_llama_close. */
EVL_EXPORT evl_status evl_llama_open(struct llama_model* model, const struct llama_context_params* params,
                                     const evl_llama_options* options, evl_llama** text, evl_failure* failure);
EVL_EXPORT void evl_llama_close(evl_llama* text); /* NULL is nothing to do */

/* The context, for samplers, llama_get_logits_ith(context, -1) and timings. Ends with the text. Nothing else may decode
 * in it or change its memory. NULL of NULL. */
EVL_EXPORT struct llama_context* evl_llama_context(const evl_llama* text);

/* Runs `count` tokens at the next positions, and evicts before the cells would overflow. The logits are those behind
 * the last. After a failure the text holds the tokens that were run until then, or, where the message says so, nothing.
 * The positions of a text end where the model's int32_t do; its quality where the model was made for fewer. */
EVL_EXPORT evl_status evl_llama_feed(evl_llama* text, const llama_token* tokens, uint64_t count, evl_failure* failure);

/* Evicts now, to `keep` cells: at the end of a prompt, say. Does nothing where no more are cached. EVL_USAGE for 0. */
EVL_EXPORT evl_status evl_llama_evict(evl_llama* text, uint64_t keep, evl_failure* failure);

/* Forgets all, for a text from the beginning. */
EVL_EXPORT void evl_llama_clear(evl_llama* text);

EVL_EXPORT uint64_t evl_llama_cells(const evl_llama* text);     /* cached tokens */
EVL_EXPORT uint64_t evl_llama_position(const evl_llama* text);  /* of the next token: how many the text has had */
EVL_EXPORT uint64_t evl_llama_evictions(const evl_llama* text); /* so far */

#ifdef __cplusplus
}
#endif
#endif
