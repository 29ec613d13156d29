/* The contract between Evictlab and a KV-cache eviction scorer: a C ABI, so any compiler and any language can make one.
 *
 * A plugin is a shared library that exports one const object, `evictlab_scorer` of type evl_plugin. C++ authors will
 * rather use scorer.hpp, which fills it in.
 *
 * Threads: the host reads the object from any thread, writing nothing. [thread-safe]: any threads, several at once.
 * [instance]: the same, but on one instance only with EVL_CONCURRENT. [last]: no other call on it runs or follows.
 * Ownership: the host owns every pointer that it passes; none may be kept after the call returns. The plugin owns the
 * strings and arrays of its evl_plugin, which must live as long as the library is loaded, and its instances, from
 * create to destroy. No exception and no allocation crosses the boundary.
 *
 * SPDX-License-Identifier: MIT */
#ifndef EVICTLAB_SCORER_H
#define EVICTLAB_SCORER_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define EVL_EXPORT __attribute__((visibility("default")))
#else
#define EVL_EXPORT
#endif

#define EVL_MAGIC UINT64_C(0x31524F43534C5645) /* "EVLSCOR1" as little-endian bytes */
#define EVL_ABI_MAJOR 1u
#define EVL_ABI_MINOR 4u
#define EVL_SYMBOL "evictlab_scorer"

/* What create and score return; anything but EVL_OK is a failure that the host reports with evl_error's text. */
typedef int32_t evl_status;
#define EVL_OK 0
#define EVL_FAILED 1

/* Flags of evl_plugin. */
#define EVL_DETERMINISTIC UINT64_C(1) /* equal batches give equal bits */
#define EVL_CONCURRENT UINT64_C(2)    /* calls on one instance may overlap */
/* Since 1.1: */
#define EVL_BUDGETED UINT64_C(4) /* scores depend on removed_fraction or kept: score is called for each budget */
#define EVL_TENSORS UINT64_C(8)  /* reads evl_batch.tensors: a suite that has none refuses the scorer by name */
/* Since 1.2: */
#define EVL_EQUAL_LAYERS UINT64_C(16) /* all layers keep as many: of a wrapper K, of others what layer_budget says */

/* Owned by the caller, who zeroes it before the call; the plugin writes why it failed: UTF-8, NUL-terminated, one line.
 */
typedef struct evl_error {
    char text[256];
} evl_error;

typedef enum evl_param_type { EVL_REAL = 0, EVL_INTEGER = 1, EVL_BOOLEAN = 2 } evl_param_type;

/* A parameter. Values are always passed as doubles: an integer's is whole, a boolean's 0 or 1. */
typedef struct evl_param {
    const char* key;                /* [a-z][a-z0-9_]*, as typed on the command line */
    const char* label;              /* a few words */
    const char* help;               /* one line, with the unit */
    double min, max, default_value; /* min <= default_value <= max; all finite, and whole unless type is EVL_REAL */
    uint32_t type;                  /* evl_param_type */
    uint32_t log_scale;             /* 1: a search should step it by ratios; min must then be above 0 */
    uint32_t evolvable;             /* 1: a search may change it */
    uint32_t reserved;              /* 0 */
} evl_param;

/* A named parameter set: values[i] is that of params[i], within its range. */
typedef struct evl_preset {
    const char* name;     /* [a-z][a-z0-9_]*: seed, kvpress, paper, ... */
    const char* help;     /* one line: what it reproduces */
    const double* values; /* param_count of them; may be NULL where the plugin has no parameters */

    /* Since 1.3. Of a plugin of an earlier version all are 0: nothing of it is published. */
    uint64_t flags;      /* EVL_PRESET_..., or 0 */
    const char* bases;   /* of a wrapper's preset: a list as --scorers takes it ("snapkv@kvpress,tova@kvpress") of the
                          * scorers that `all` shows it over; a published one with parameters changed here is still
                          * published inside the wrapper. May be NULL: none */
    const char* formula; /* a formula with the same scores, as text; may be NULL: none is known */
} evl_preset;

/* Flags of evl_preset, since 1.3. */
/* A method as its paper, its authors' program or NVIDIA's kvpress has it: what other scorers are compared with. Of a
 * wrapper: over any published preset. */
#define EVL_PRESET_PUBLISHED UINT64_C(1)
/* `--scorers all` has it, under prefill and decode. Of wrappers `bases` tells that. */
#define EVL_PRESET_LISTED UINT64_C(2)
/* A published method, simplified for the synthetic suites: published under the protocol rescore alone, where the
 * published presets of its plugin count as well. */
#define EVL_PRESET_SIMPLIFIED UINT64_C(4)
/* Since 1.4: of a plugin with EVL_THRESHOLD. The value of its threshold is not meant: for each share to be removed the
 * host finds the one by which as much as asked for stays on a suite's train split. Only there does the preset run. */
#define EVL_PRESET_MATCHED UINT64_C(8)

/* The layer's tensors behind the columns, for plugins with EVL_TENSORS (since 1.1): owned by the host, read-only, valid
 * during the call. n tokens in order of position; query head h reads KV head h / (query_heads / kv_heads). Rows of dim
 * floats follow each other; *_stride is the step from one head to the next, in floats. */
typedef struct evl_tensors {
    uint64_t struct_size; /* of evl_tensors as the host knows it: read no field behind it */
    uint32_t query_heads, kv_heads;
    uint32_t tokens; /* n, that of the batch */
    uint32_t dim;    /* of a head */
    const float* q;  /* [query_heads][n][dim], as the attention uses them: after RoPE and any QK-norm */
    const float* k;  /* [kv_heads][n][dim], likewise */
    const float* v;  /* [kv_heads][n][dim] */
    ptrdiff_t q_stride, k_stride, v_stride;
    double softmax_scale;       /* factor of q . k: 1 / sqrt(dim) in most models */
    uint64_t sliding_window;    /* keys that a query sees, itself included; 0: all before it */
    const float* rope_inv_freq; /* [dim / 2]: radians a position; the half-split form of RoPE */
    double rope_scale;          /* factor on its cos and sin; 1 in most models */
    const float* wov_norm;     /* [query_heads][n]: ||W_o[h] v||_1 with h's columns of the output projection; or NULL */
    ptrdiff_t wov_norm_stride; /* floats from one query head to the next */
    /* Attention of the last window_queries queries, softmax over all that each may see:
     * [query_heads][window_queries][n], without gaps. The plugin asks for it by evl_plugin.tensor_window; fewer where n
     * is smaller. NULL where it is 0. */
    uint64_t window_queries;
    const float* window_attn;
} evl_tensors;

/* Numbers by layer and head that were learned once for the model (since 1.4): constants, with one row, or a table with
 * several. Owned by the host, read-only, valid during the call. */
typedef struct evl_table {
    uint64_t struct_size;          /* of evl_table as the host knows it: read no field behind it */
    uint64_t rows, layers, heads;  /* KV heads */
    const uint32_t* layer_numbers; /* [layers], ascending: which of the model's it is of; the batch's is among them */
    const float* values;           /* [rows][layers][heads], finite */
} evl_table;

/* All cached tokens of one layer at one moment: owned by the host, read-only, valid during the call. */
typedef struct evl_batch {
    uint64_t struct_size;  /* of evl_batch as the host knows it: read no field behind it */
    uint32_t layer;        /* 0-based */
    uint32_t num_layers;   /* of the model */
    uint32_t heads;        /* KV heads: all of the layer, in order */
    uint32_t tokens;       /* n: cached tokens a head, in order of position; at least 1 */
    uint64_t sequence_len; /* tokens seen so far; equals tokens where nothing is evicted for good */
    /* columns[i] is the i-th column that the plugin declared: head h's n values start at
     * columns[i] + h * head_stride[i]; a stride of 0 means that all heads share them. All are finite, but for those of
     * base_score, which may be infinite. A column with one value for all tokens (sequence_len, layer_ratio) is filled
     * with n copies of it. */
    const double* const* columns;
    const ptrdiff_t* head_stride;

    /* Since 1.1. The budget that the scores are for; both 0 where there is none, as under the protocol rescore, and for
     * plugins without EVL_BUDGETED in calls of score. */
    double removed_fraction;    /* c: share of the tokens to be evicted, in [0, 1] */
    uint64_t kept;              /* K: tokens that each head keeps, after any layer budget */
    const evl_tensors* tensors; /* NULL unless the plugin has EVL_TENSORS */

    /* Since 1.4: tables[i] is the i-th of the calibration's tables that the plugin declared, table_count of them. */
    uint64_t table_count;
    const evl_table* const* tables; /* NULL where it declared none */
} evl_batch;

typedef struct evl_instance evl_instance; /* the plugin's own */

/* The exported object. The first four fields are frozen for ever; later minor versions only append fields, and each
 * side reads only what both know (the smaller struct_size). A host refuses another major version. */
typedef struct evl_plugin {
    uint64_t magic;       /* EVL_MAGIC */
    uint32_t abi_major;   /* EVL_ABI_MAJOR */
    uint32_t abi_minor;   /* EVL_ABI_MINOR */
    uint64_t struct_size; /* sizeof(evl_plugin) */

    /* Strings are UTF-8; none is NULL. */
    const char* id;          /* [a-z][a-z0-9_]*, unique among the plugins of a run */
    const char* name;        /* for people */
    const char* version;     /* of the plugin, semantic versioning */
    const char* description; /* one line: the rule */
    const char* reference;   /* paper or program that the rule comes from; "" where it is new */
    uint64_t flags;          /* EVL_DETERMINISTIC | EVL_CONCURRENT */

    uint64_t column_count;
    /* Names from `evictlab plugins columns`; the host computes no others. Since 1.1 a name may hold parameters in
     * braces, which the host replaces by the instance's values: "window_attn:{window}" becomes "window_attn:64", and
     * "{max_pooling?max|avg}" max or avg, as the value is other than 0 or not. A plugin that names `base_score` is a
     * wrapper: it is only used over another scorer, as mine(h2o), whose scores that column holds. */
    const char* const* columns;

    uint64_t param_count;
    uint64_t param_size; /* sizeof(evl_param): the step from one to the next */
    const evl_param* params;

    uint64_t preset_count;
    uint64_t preset_size; /* sizeof(evl_preset) */
    const evl_preset* presets;

    /* [thread-safe] Makes an instance for param_count values, which the host has checked against params and which are
     * valid during the call. Sets *instance, not NULL, on success: the plugin's own until destroy. On failure writes
     * error and leaves nothing behind. */
    evl_status (*create)(const double* values, evl_instance** instance, evl_error* error);
    /* [instance] Writes scores[h * tokens + i], the host's, for every head h and token i: higher = keep, no unit.
     * +inf means "always keep", -inf "evict first"; among equal scores the lower index is kept. NaN is an error,
     * reported with layer and position. scores overlaps no column. */
    evl_status (*score)(evl_instance* instance, const evl_batch* batch, double* scores, evl_error* error);
    /* [last] Ends an instance that create made and frees what it holds. Called once, from any thread. */
    void (*destroy)(evl_instance* instance);

    /* [thread-safe] Optional extensions by id, NULL where the plugin has none of that id; what it points to is the
     * plugin's and lives as long as the library. May itself be NULL. */
    const void* (*extension)(const char* id);

    /* Since 1.1. */
    uint64_t tensor_window; /* queries of evl_tensors.window_attn; 0: none. Needs EVL_TENSORS */
    /* Another rule under the same id, with columns, parameters, presets and functions of its own, or NULL: a chain. The
     * text ID@PRESET means the first of the chain that has this preset, ID alone the head of the chain. */
    const struct evl_plugin* variant;

    /* Since 1.3. */
    const char* formula; /* as evl_preset.formula, of the default values; may be NULL */

    /* Since 1.4. Tables and constants of the model's calibration by name ([a-z][a-z0-9_]*), which the batch then has: a
     * suite whose calibration lacks one refuses the scorer by name. */
    uint64_t table_count;
    const char* const* tables;
} evl_plugin;

/* Extension EVL_LAYER_BUDGET: how many tokens each head keeps in one layer, in place of K. */
#define EVL_LAYER_BUDGET "evictlab.layer_budget/1"
typedef struct evl_budget_query {
    uint64_t struct_size;    /* of evl_budget_query as the host knows it */
    uint32_t layer;          /* 0-based */
    uint32_t num_layers;     /* of the model */
    uint32_t heads;          /* KV heads */
    uint32_t tokens;         /* n */
    double removed_fraction; /* c, in (0, 1] */
    uint64_t kept;           /* K = c >= 1 ? 0 : max(1, (int)(n (1 - c))): the answer where all layers are equal. Of a
                              * wrapper without EVL_EQUAL_LAYERS: what the scorer inside keeps in this layer */
} evl_budget_query;
typedef struct evl_layer_budget {
    /* [instance] Sets *kept, in tokens of each head, at most query->tokens. Called before score. */
    evl_status (*layer_budget)(evl_instance* instance, const evl_budget_query* query, uint64_t* kept, evl_error* error);
} evl_layer_budget;

/* Extension EVL_HEAD_BUDGETS: how many tokens each head of a layer keeps. */
#define EVL_HEAD_BUDGETS "evictlab.head_budgets/1"
typedef struct evl_head_budgets {
    /* [instance] Called after score with its batch and scores, and the budget filled in (batch->kept: the layer's).
     * Sets kept[h], in tokens, at most batch->tokens, for every head; the sum may be other than heads * batch->kept. */
    evl_status (*head_budgets)(evl_instance* instance, const evl_batch* batch, const double* scores, uint64_t* kept,
                               evl_error* error);
} evl_head_budgets;

/* Extension EVL_MODEL_BUDGETS, since 1.4: how many tokens each head of each layer keeps, once all layers are scored.
 * Not together with EVL_HEAD_BUDGETS. */
#define EVL_MODEL_BUDGETS "evictlab.model_budgets/1"
/* A layer that was scored: owned by the host, read-only, valid during the call. */
typedef struct evl_scored_layer {
    uint32_t layer;       /* 0-based */
    uint32_t heads;       /* KV heads */
    uint32_t tokens;      /* n */
    uint32_t reserved;    /* 0 */
    uint64_t kept;        /* K, or the layer's budget, or what the scorer inside keeps: as evl_batch.kept */
    const double* scores; /* [heads][tokens], as score wrote them: none is NaN, some may be infinite */
    const double* facts;  /* [evl_model_budgets.facts], as layer_facts wrote them; NULL where there are none */
} evl_scored_layer;
/* All layers of a model that there are to divide a budget among: owned by the host, as they. */
typedef struct evl_model_query {
    uint64_t struct_size; /* of evl_model_query as the host knows it */
    uint32_t num_layers; /* of the model: more than layer_count where some are not held, as in traces of a few layers */
    uint32_t layer_count;           /* that are held; at least 1 */
    uint64_t layer_size;            /* sizeof(evl_scored_layer) as the host knows it: the step from one to the next */
    double removed_fraction;        /* c, in (0, 1] */
    const evl_scored_layer* layers; /* in ascending order of their numbers */
} evl_model_query;
typedef struct evl_model_budgets {
    uint64_t facts; /* numbers that layer_facts writes of each layer: at most 4096, or 0 */
    /* [instance] Called after score with its batch, scores and the budget filled in: writes facts[i], the host's, none
     * of them NaN. All that model_budgets will know of the layer beside its scores. NULL where `facts` is 0. */
    evl_status (*layer_facts)(evl_instance* instance, const evl_batch* batch, const double* scores, double* facts,
                              evl_error* error);
    /* [instance] Called once all layers are scored for a budget. Sets kept[i], in tokens, at most the layer's, for
     * every head of the first layer, then of the next, and so on; their sum is the plugin's to choose. Within a head
     * the highest scores stay. */
    evl_status (*model_budgets)(evl_instance* instance, const evl_model_query* query, uint64_t* kept, evl_error* error);
} evl_model_budgets;

/* Extension EVL_MODEL_SCORES, since 1.4: scores that depend on other layers, as where one set of tokens is kept in all.
 */
#define EVL_MODEL_SCORES "evictlab.model_scores/1"
typedef struct evl_model_scores {
    /* [instance] Called once all layers are scored for a budget, before model_budgets. scores[i], the host's, are those
     * of the i-th layer, [heads][tokens], as score wrote them (query->layers[i].scores has the same): the plugin may
     * change them. What is kept follows from the new ones. NaN is an error. */
    evl_status (*model_scores)(evl_instance* instance, const evl_model_query* query, double* const* scores,
                               evl_error* error);
} evl_model_scores;

/* Extension EVL_THRESHOLD, since 1.4: no budget. Each head keeps what scores at least a threshold, a parameter of the
 * plugin on which the scores do not depend. Those of the newest tokens are +inf, as many as another parameter says:
 * while decoding, a token's fate is decided once, when it leaves them. Not together with budgets of other kinds. */
#define EVL_THRESHOLD "evictlab.threshold/1"
typedef struct evl_threshold {
    uint64_t threshold; /* index of an EVL_REAL among params */
    uint64_t window;    /* index of an EVL_INTEGER, whose least value is at least 1: newest tokens */
} evl_threshold;

/* The first four fields, for an initialiser: { EVL_HEADER, .id = "mine", ... } */
#define EVL_HEADER EVL_MAGIC, EVL_ABI_MAJOR, EVL_ABI_MINOR, sizeof(evl_plugin)

/* What a plugin defines (EVL_SYMBOL is its name). */
extern EVL_EXPORT const evl_plugin evictlab_scorer;

#ifdef __cplusplus
}
#endif
#endif
