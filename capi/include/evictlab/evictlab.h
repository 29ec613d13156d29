/* libevictlab: scores the cached tokens of one layer of a model with any Evictlab scorer (plugin, preset, wrapper or
 * formula), from the layer's queries, keys and values, and says which of them are kept: one-shot eviction at the end of
 * a prompt, as `evictlab bench --protocol prefill` does it. C11, for any language that can call C.
 *
 *     evl_lab* lab;  evl_scorer* scorer;  evl_failure why;
 *     evl_lab_open(NULL, 0, &lab, &why);
 *     evl_scorer_open(lab, "snapkv@kvpress", &scorer, &why);
 *     evl_scorer_keep(scorer, &layer, &removed, 1, kept, counts, NULL, &why);
 *
 * Errors: a function that can fail returns EVL_OK, EVL_FAILED or EVL_USAGE and, where it is not EVL_OK, writes what
 * happened into `failure` (which may be NULL) and leaves its outputs as they were. Nothing exits, prints or throws.
 * NULL where an object, an array or a function must be is EVL_USAGE; of the functions that return no status, those that
 * count give 0, those that return a string NULL, and evl_scorer_needs writes nothing.
 * Threads: [thread-safe] functions may be called from any thread, several at once on the same objects too. [last] ones
 * end an object: no other call on it may run or follow. An open scorer does not need its lab any more.
 * Ownership: the caller owns the arrays that it passes, and none is kept after a call returns. Strings that are
 * returned belong to the object that was asked and live as long as it. Units: strides count floats. A score has no
 * unit; higher means keep. The positions of n cached tokens are 0 .. n - 1 unless evl_layer.position says others. What
 * can be left 0 at the end of a structure may be left out by a smaller struct_size: structures only grow.
 *
 * SPDX-License-Identifier: MIT */
#ifndef EVICTLAB_EVICTLAB_H
#define EVICTLAB_EVICTLAB_H

#include <evictlab/scorer.h>

#ifdef __cplusplus
extern "C" {
#endif

#define EVL_USAGE 2 /* wrong use: an unknown scorer, a value out of range, an array that is missing */

/* What went wrong: UTF-8, NUL-terminated, one line, cut where it is longer. */
typedef struct evl_failure {
    char text[1024];
} evl_failure;

/* [thread-safe] The library's version, as "1.0.0". */
EVL_EXPORT const char* evl_version(void);

/* The plugins that were found. */
typedef struct evl_lab evl_lab;

/* [thread-safe] Searches the `count` folders, then EVICTLAB_PLUGIN_PATH, then the library's own plugins. What cannot be
 * used does not fail the call; it is among the problems. The caller owns *lab, until evl_lab_close. */
EVL_EXPORT evl_status evl_lab_open(const char* const* plugin_dirs, uint64_t count, evl_lab** lab, evl_failure* failure);
EVL_EXPORT void evl_lab_close(evl_lab* lab);                                /* [last] NULL is nothing to do */
EVL_EXPORT uint64_t evl_lab_problem_count(const evl_lab* lab);              /* [thread-safe] */
EVL_EXPORT const char* evl_lab_problem(const evl_lab* lab, uint64_t index); /* [thread-safe] NULL behind the last */
/* The scorers that `evictlab bench --scorers all --protocol prefill` runs, as texts for evl_scorer_open, but for those
 * whose threshold is found on a suite's train split. */
EVL_EXPORT uint64_t evl_lab_scorer_count(const evl_lab* lab);              /* [thread-safe] */
EVL_EXPORT const char* evl_lab_scorer(const evl_lab* lab, uint64_t index); /* [thread-safe] NULL behind the last */
/* [thread-safe] Reads a calibration of the model, as evictlab-calibrate writes it: for the scorers that are opened from
 * then on, and for which scorers are all. Without one, scorers that read a calibration
 * are not among all, and are refused when opened. Whether it is of the caller's model only the caller knows; of other
 * numbers of layers, heads or dimensions every layer is refused. */
EVL_EXPORT evl_status evl_lab_calibration(evl_lab* lab, const char* file, evl_failure* failure);

/* [thread-safe] Splits a list ("a,b:x=1,y=2", `all`) and calls `add`, on this thread, for each; `text` lives for it. */
EVL_EXPORT evl_status evl_lab_split(const evl_lab* lab, const char* list, void (*add)(void* context, const char* text),
                                    void* context, evl_failure* failure);

/* [thread-safe] Calls `add` for each file that a list's scorers name: plugins' libraries, formulas. Opens none. */
EVL_EXPORT evl_status evl_scorer_files(const char* list, void (*add)(void* context, const char* file), void* context,
                                       evl_failure* failure);

/* A scorer, ready to run. */
typedef struct evl_scorer evl_scorer;

/* [thread-safe] `text` is what a person types: `id`, `id@preset:param=value`, a `.so` or `.formula` file, `=FORMULA`,
 * or a wrapper `id@preset(SCORER)`. The caller owns *scorer, until evl_scorer_close. An id without a preset is the
 * plugin's defaults, which of some (`snapkv`, `h2o`) are a simplification for synthetic attention: pass such texts
 * through evl_lab_full_name first, unless that is meant. */
EVL_EXPORT evl_status evl_scorer_open(evl_lab* lab, const char* text, evl_scorer** scorer, evl_failure* failure);
/* [thread-safe] Calls `take` once, on this thread, with what `evictlab bench` runs for the text on a model's attention,
 * as a text for evl_scorer_open: an id without a preset gets the published one (`kvpress`, else `paper`, else the
 * plugin's first), inside wrappers too, so that `adakv(snapkv)` is "adakv@kvpress(snapkv@kvpress)"; all else stays.
 * `name` lives for the call. Opens nothing: an unknown scorer stays as it is. */
EVL_EXPORT evl_status evl_lab_full_name(evl_lab* lab, const char* text, void (*take)(void* context, const char* name),
                                        void* context, evl_failure* failure);
EVL_EXPORT void evl_scorer_close(evl_scorer* scorer); /* [last] NULL is nothing to do */

#define EVL_ALL_QUERIES UINT64_MAX

/* What a scorer reads and does, so that nobody computes what it does not need. */
typedef struct evl_needs {
    uint64_t struct_size;    /* set by the caller: sizeof(evl_needs); no field behind it is written */
    uint64_t queries;        /* the latest ones that evl_layer.q must hold: 0 (q may be NULL) to EVL_ALL_QUERIES */
    uint32_t token_type;     /* 1: evl_layer.token_type must be given */
    uint32_t wov_norm;       /* 1: evl_layer.wov_norm must be given. A plugin that reads tensors may use it: 2 */
    uint32_t budgeted;       /* 1: scores depend on the removed fraction */
    uint32_t uneven;         /* 1: layers or heads may keep another count than kvpress's K */
    uint32_t calibration;    /* 1: it reads the calibration of its lab */
    uint32_t wo_gram;        /* 1: evl_layer.wo_gram must be given */
    uint32_t reconstruction; /* bit i: evl_layer.reconstruction[i] must be given */
    uint32_t model_budgets;  /* 1: what a layer keeps is known once all are scored: evl_model in place of
                              * evl_scorer_keep, which refuses the scorer */
} evl_needs;
EVL_EXPORT void evl_scorer_needs(const evl_scorer* scorer, evl_needs* needs); /* [thread-safe] */
/* Names of the columns that it reads, as `evictlab plugins columns` explains them. NULL behind the last. */
EVL_EXPORT uint64_t evl_scorer_column_count(const evl_scorer* scorer);              /* [thread-safe] */
EVL_EXPORT const char* evl_scorer_column(const evl_scorer* scorer, uint64_t index); /* [thread-safe] */
/* 64 hexadecimal digits over everything that decides its scores: the plugin's file and parameters, or the formula. */
EVL_EXPORT const char* evl_scorer_hash(const evl_scorer* scorer); /* [thread-safe] */
/* [thread-safe] Its name in all tables and results: of a file the plugin's id or the formula file's stem. */
EVL_EXPORT const char* evl_scorer_name(const evl_scorer* scorer);
/* [thread-safe] The id of its plugin, of a wrapper its own: "snapkv". NULL of a formula. */
EVL_EXPORT const char* evl_scorer_plugin(const evl_scorer* scorer);
/* [thread-safe] 1 where it is a published method as it was published, as its plugin says; else 0. */
EVL_EXPORT uint32_t evl_scorer_published(const evl_scorer* scorer);
/* [thread-safe] The formula that gives its scores: its own, or the twin of its plugin. NULL where it has none. */
EVL_EXPORT const char* evl_scorer_formula(const evl_scorer* scorer);
/* [thread-safe] Its class of methods, as one JSON object in the form that results of `evictlab bench` have:
 * {"reads":"q64","query_aware":true,"fused_attention":true,"passes":1,"calibrated":false,"budgets":"uniform"}. */
EVL_EXPORT const char* evl_scorer_class(const evl_scorer* scorer);

/* Columns of one layer of one document, kept from call to call: who scores the same layer with many scorers need not
 * compute a column anew for each. Holds at most 64 columns, 8 bytes a KV head and token each. */
typedef struct evl_memory evl_memory;
EVL_EXPORT evl_status evl_memory_open(evl_memory** memory, evl_failure* failure); /* [thread-safe] */
EVL_EXPORT void evl_memory_close(evl_memory* memory);                             /* [last] NULL is nothing to do */

/* One layer of a model at the end of a text, of which n tokens are cached: all of a prompt or, with `position`, what
 * earlier evictions left. q, k and v are as the attention uses them: after RoPE, at the text's own positions, and any
 * normalisation of queries and keys. Element x of the vector of head h and row i is
 * q[h * q_head_stride + i * q_token_stride + x]. With a token stride of `dim` the array is read where it lies, else it
 * is copied for the call. All values must be finite. */
typedef struct evl_layer {
    uint64_t struct_size; /* sizeof(evl_layer) as the caller knows it */
    uint32_t layer;       /* 0-based */
    uint32_t num_layers;  /* of the model */
    uint32_t query_heads;
    uint32_t kv_heads; /* divides query_heads; query head h reads KV head h / (query_heads / kv_heads) */
    uint32_t tokens;   /* n */
    uint32_t dim;      /* of a head; even */
    const float* q;    /* [query_heads][seen - first_query][dim], or NULL where evl_needs.queries is 0 */
    const float* k;    /* [kv_heads][n][dim] */
    const float* v;    /* [kv_heads][n][dim] */
    ptrdiff_t q_head_stride, k_head_stride, v_head_stride;
    ptrdiff_t q_token_stride, k_token_stride, v_token_stride;
    uint64_t first_query;       /* position of q's first row: at most seen - min(seen, evl_needs.queries) */
    const float* rope_inv_freq; /* [dim / 2]: radians a position, half-split RoPE; NULL is none (0) */
    double rope_scale;          /* factor on its cos and sin; 1 in most models */
    double softmax_scale;       /* factor of q . k: 1 / sqrt(dim) in most models */
    uint64_t sliding_window;    /* keys that a query sees, itself included; 0: all before it */
    const uint8_t* token_type;  /* [n]: 0 word, 1 punctuation or space, 2 special, 3 number; or NULL */
    const float* wov_norm;     /* [query_heads][n]: ||W_o[h] v||_1 with h's columns of the output projection; or NULL */
    ptrdiff_t wov_norm_stride; /* from one query head to the next */
    evl_memory* memory;        /* of this layer of this document, with the same arrays in every call; or NULL */
    const double* wo_gram; /* [query_heads][dim][dim]: W_o[h]^T W_o[h] of the output projection's columns; or NULL */
    /* What a second pass over the prompt gave, of KVzip, KVzip+ and KVgrad (docs/traces.md): [kv_heads][n] each, or
     * NULL. Element i of head h is at [h * reconstruction_stride + i]. */
    const float* reconstruction[3];
    ptrdiff_t reconstruction_stride;
    uint32_t value_type; /* of q, k and v: EVL_F32 (0), or EVL_F16 or EVL_BF16 behind pointers that are cast; strides
                          * count these values, which are copied for the call */
    uint32_t reserved;   /* 0 */
    /* After an eviction (a second one, a prompt in chunks, several turns): which tokens are cached. Ascending positions
     * [kv_heads][n], those of head h at position + h * position_stride (0: all heads cache the same), below `seen`, the
     * number of tokens that there were so far, evicted ones included, which is the position of the next one. NULL and 0
     * are 0 .. n - 1 and n. Columns then have true positions and distances; attention is that of the latest queries,
     * whose own tokens may be gone, over what is cached now, so that the share of evicted tokens is with the others.
     * Scorers that would be wrong there are refused: evl_scorer_fits_gaps. */
    const uint32_t* position;
    ptrdiff_t position_stride;
    uint64_t seen;
    ptrdiff_t token_type_stride; /* from one KV head's token types to the next one's; 0: they are the same */
} evl_layer;

#define EVL_F32 0
#define EVL_F16 1
#define EVL_BF16 2

/* [thread-safe] Gives a layer's memory a column that the caller computed, on an accelerator say, [kv_heads][n]; no
 * value may be NaN. Scorers read it instead of computing it. Of `layer` the numbers are read, none of the arrays. Once
 * all columns of a scorer (evl_scorer_column) are given, and evl_needs.wov_norm is not 2, the layer that is scored with
 * the memory may have NULL for q, k and v; budgets and shapes are as ever. */
EVL_EXPORT evl_status evl_memory_put(evl_memory* memory, const evl_layer* layer, const char* column,
                                     const double* values, evl_failure* failure);

/* [thread-safe] Scores [kv_heads][n], and how many tokens each head keeps when the share `removed` in [0, 1] goes,
 * [kv_heads] (may be NULL). With `removed` 0 all are kept and nothing is scored: the scores are 0. */
EVL_EXPORT evl_status evl_scorer_score(const evl_scorer* scorer, const evl_layer* layer, double removed, double* scores,
                                       uint64_t* counts, evl_failure* failure);

/* [thread-safe] What is kept at each of `budgets` removed fractions; columns are computed once. kept[b][h][i],
 * [budgets][kv_heads][n], is 1 where head h keeps token i at removed[b], else 0: of equal scores the lower position is
 * kept. counts[b][h] and scores[b][h][i] may be NULL. kvpress's K, which plain scorers keep: c >= 1 ? 0 : max(1,
 * (int)(n * (1.0 - c))). */
EVL_EXPORT evl_status evl_scorer_keep(const evl_scorer* scorer, const evl_layer* layer, const double* removed,
                                      uint64_t budgets, uint8_t* kept, uint64_t* counts, double* scores,
                                      evl_failure* failure);

#define EVL_HEAD 0      /* evl_shape.granularity: each KV head keeps its own tokens */
#define EVL_LAYER 1     /* all heads of a layer keep the same */
#define EVL_MODEL 2     /* all layers and heads keep the same: by evl_model_open_shape */
#define EVL_JOIN_MEAN 0 /* evl_shape.join: how their scores become one */
#define EVL_JOIN_MAX 1
#define EVL_JOIN_RANK 2
#define EVL_JOIN_SHARE 3
#define EVL_BLOCK_MEAN 0 /* evl_shape.block_score: a block's score from its tokens' */
#define EVL_BLOCK_MAX 1

/* The grain at which tokens go; docs/shapes.md defines every part. With zeros each KV head keeps its own tokens, one by
 * one. Scorers with budgets of their own for those who share a set are refused (EVL_USAGE). */
typedef struct evl_shape {
    uint64_t struct_size; /* sizeof(evl_shape) as the caller knows it */
    uint32_t granularity, join;
    uint32_t block; /* tokens that go together, up to 65536, aligned at multiples; 0 is 1 */
    uint32_t block_score;
    uint64_t sinks, recent; /* the first and last tokens, which stay; EVL_USAGE where K is less */
} evl_shape;

/* [thread-safe] EVL_OK where the scorer can be had at the shape; else EVL_USAGE, and the failure says why. */
EVL_EXPORT evl_status evl_scorer_fits(const evl_scorer* scorer, const evl_shape* shape, evl_failure* failure);

/* [thread-safe] EVL_OK where the scorer can be had of what earlier evictions left (evl_layer.position), of heads that
 * cache the same tokens where `alike` is not 0, else of heads that may not; else EVL_USAGE, and the failure says why.
 */
EVL_EXPORT evl_status evl_scorer_fits_gaps(const evl_scorer* scorer, uint32_t alike, evl_failure* failure);

/* What is asked for, and where the answers go. */
typedef struct evl_selection {
    uint64_t struct_size;   /* sizeof(evl_selection) as the caller knows it */
    const evl_shape* shape; /* NULL: as zeros */
    uint64_t budgets;
    const double* removed; /* [budgets] shares that go, in [0, 1]; or NULL, and then */
    const uint64_t* keep;  /* [budgets] tokens that a set keeps, above 0; all of fewer */
    uint8_t* kept;         /* [budgets][kv_heads][n] as evl_scorer_keep writes them; or NULL */
    uint32_t* places; /* [budgets][kv_heads][n]: of each row the first counts[b][h] become the places of the tokens that
                       * are kept, ascending, and the rest stays as it was; or NULL */
    uint64_t* counts; /* [budgets][kv_heads]: tokens that are kept; may be NULL without `places` */
    double* scores;   /* [budgets][kv_heads][n]: as the scorer gives them, neither joined nor in blocks; or NULL */
} evl_selection;

/* [thread-safe] What is kept of a layer at a shape. EVL_MODEL is refused, as are scorers with evl_needs.model_budgets.
 * Blocks, and the first and last tokens, are those of what is cached; who shares a set must cache the same tokens. */
EVL_EXPORT evl_status evl_scorer_select(const evl_scorer* scorer, const evl_layer* layer,
                                        const evl_selection* selection, evl_failure* failure);
/* [thread-safe] The same of `count` layers, of a batch of sequences say, several at once on the library's own threads:
 * selections[i] is that of layers[i]. Where one fails nothing is written for any, and the failure is the first's. */
EVL_EXPORT evl_status evl_scorer_select_batch(const evl_scorer* scorer, const evl_layer* const* layers,
                                              const evl_selection* const* selections, uint64_t count,
                                              evl_failure* failure);

/* What a scorer keeps in all layers of a model for one sequence, at `budgets` removed fractions: for scorers that
 * divide the budget of the whole model. Others can be asked so, too, and keep what evl_scorer_keep says. Each layer is
 * scored as it comes; of it the scores are held, 8 bytes a KV head and token (where evl_needs.budgeted, for each
 * budget), and none of its arrays. Once all layers are there, that is those whose tokens may be evicted, each can be
 * asked for. */
typedef struct evl_model evl_model;
/* [thread-safe] `scorer` must stay open until evl_model_close. The caller owns *model, until evl_model_close. */
EVL_EXPORT evl_status evl_model_open(const evl_scorer* scorer, const double* removed, uint64_t budgets,
                                     evl_model** model, evl_failure* failure);
EVL_EXPORT void evl_model_close(evl_model* model); /* [last] NULL is nothing to do */
/* [thread-safe] The same at a shape: of `asked` the shape and the budgets are read. With EVL_MODEL one set is kept by
 * all layers that are added, which must have as many tokens each; so must they with `keep`. */
EVL_EXPORT evl_status evl_model_open_shape(const evl_scorer* scorer, const evl_selection* asked, evl_model** model,
                                           evl_failure* failure);
/* [thread-safe] Scores a layer. EVL_USAGE where it was added before, and after evl_model_keep. A layer that fails is as
 * if it had not come. */
EVL_EXPORT evl_status evl_model_add(evl_model* model, const evl_layer* layer, evl_failure* failure);
/* [thread-safe] What a layer that was added keeps: kept, counts and scores as evl_scorer_keep writes them. The first
 * call divides the budget among the layers that are there; none may still be being added. */
EVL_EXPORT evl_status evl_model_keep(evl_model* model, uint32_t layer, uint8_t* kept, uint64_t* counts, double* scores,
                                     evl_failure* failure);

/* [thread-safe] The same, into what `into` has of kept, places, counts and scores: its shape and budgets are not read.
 */
EVL_EXPORT evl_status evl_model_select(evl_model* model, uint32_t layer, const evl_selection* into,
                                       evl_failure* failure);

/* [thread-safe] What the oracle of a shape keeps of `rows` KV heads of n tokens, attention[row][n] being what later
 * queries give them: `keep` of each row, at most n. With EVL_HEAD each row by itself or, where `together` is not 0, as
 * many blocks of all rows as they have together; else one set for all, by the mean over the rows. A block counts for
 * what its tokens hold; the shape's join and block_score are not read. kept[row][n] becomes 1 for each token that
 * stays, 0 for others. */
EVL_EXPORT evl_status evl_oracle_keep(const double* attention, uint64_t rows, uint64_t n, uint64_t keep,
                                      const evl_shape* shape, uint32_t together, uint8_t* kept, evl_failure* failure);
/* [thread-safe] By what name results have budgets that are numbers of tokens, `keep` [budgets]: names[b] becomes the
 * share that each is of prompts of so many tokens, prompts[count], on the mean, to six digits and above 0. EVL_USAGE
 * for a 0, and for two budgets that keep the same of every prompt. */
EVL_EXPORT evl_status evl_keep_names(const uint64_t* keep, uint64_t budgets, const uint64_t* prompts, uint64_t count,
                                     double* names, evl_failure* failure);

/* The cache of one layer while a model decodes, as `evictlab bench --protocol decode` has it: cut at the end of the
 * prompt, then again as tokens come; what is evicted never returns, positions are the true ones, and the scorer's
 * statistics over later queries are of what is cached alone. Unlike an evl_scorer_select of what is left it remembers
 * what tokens got while others were still there, as H2O and TOVA do. It holds copies of the layer's tokens, those that
 * are evicted included. */
typedef struct evl_cache evl_cache;

typedef struct evl_cache_plan {
    uint64_t struct_size;   /* sizeof(evl_cache_plan) as the caller knows it */
    const evl_shape* shape; /* of every cut, not EVL_MODEL, blocks with EVL_LAYER alone; NULL: as zeros */
    double removed;         /* the share of the prompt that goes at its end, in [0, 1]; or, */
    uint64_t keep;          /* where above 0, the tokens that stay; all of fewer */
    uint64_t longest;       /* tokens that the prompt and all steps may have together */
} evl_cache_plan;

/* [thread-safe] EVL_OK where the scorer can decide while decoding; else EVL_USAGE, and the failure says why: budgets
 * other than uniform ones, all layers at once, a second pass and whole tensors are for the end of a prompt. */
EVL_EXPORT evl_status evl_cache_fits(const evl_scorer* scorer, const evl_shape* shape, evl_failure* failure);
/* [thread-safe] `prompt` is read as evl_scorer_keep reads it, its memory not, and is whole: without
 * evl_layer.position. places[h][i], [kv_heads][n]: of each row the first counts[h] become the positions that the head
 * keeps of the prompt, ascending. `scorer` must stay open until evl_cache_close. The caller owns *cache, until
 * evl_cache_close. */
EVL_EXPORT evl_status evl_cache_open(const evl_scorer* scorer, const evl_layer* prompt, const evl_cache_plan* plan,
                                     uint32_t* places, uint64_t* counts, evl_cache** cache, evl_failure* failure);
EVL_EXPORT void evl_cache_close(evl_cache* cache); /* [last] NULL is nothing to do */

/* The token behind the last one, in F32; vectors of the prompt's `dim`, one a head. */
typedef struct evl_token {
    uint64_t struct_size; /* sizeof(evl_token) as the caller knows it */
    const float* q;       /* [query_heads][dim] */
    const float* k;       /* [kv_heads][dim] */
    const float* v;       /* [kv_heads][dim] */
    ptrdiff_t q_head_stride, k_head_stride, v_head_stride;
    uint64_t capacity; /* 0, or: heads that cache more than so many tokens, this one included, are cut to them. A scorer
                        * with a threshold decides by that in place of the number */
    const float* wov_norm; /* [query_heads]; where the prompt's evl_layer.wov_norm was given */
    uint32_t token_type;   /* where the prompt's was given */
    uint32_t reserved;     /* 0 */
} evl_token;

/* [instance] The token is cached and attends, and the cache may be cut. *cut becomes 1 where it was, else 0; then, of
 * each row of places[h][i], [kv_heads][longest], the first counts[h] become the slots that stay, ascending: indices
 * among what the head cached, in order of position, this token the last. Without a cut counts[h] is what the head
 * caches, and `places` stays as it was. One thread at a time for each cache. After a failure the cache can only be
 * closed. */
EVL_EXPORT evl_status evl_cache_step(evl_cache* cache, const evl_token* token, uint32_t* places, uint64_t* counts,
                                     uint32_t* cut, evl_failure* failure);

/* [thread-safe] The hash of a captured suite, by name or folder, as benches have it: "sha256:" and 64 digits. */
EVL_EXPORT evl_status evl_suite_hash(const char* suite, char hash[80], evl_failure* failure);
/* [thread-safe] Calls `take`, on this thread, with a captured suite's folder, found as `evictlab bench` finds it. */
EVL_EXPORT evl_status evl_suite_folder(const char* suite, void (*take)(void* context, const char* folder),
                                       void* context, evl_failure* failure);

/* [thread-safe] The mean of values of `count` documents (1 to 10000), and its 95 % interval as `evictlab report` has
 * it: a paired bootstrap with fixed draws, the same for equal counts. low and high are NaN for one document. */
EVL_EXPORT evl_status evl_mean_interval(const double* values, uint64_t count, double* mean, double* low, double* high,
                                        evl_failure* failure);

#ifdef __cplusplus
}
#endif
#endif
