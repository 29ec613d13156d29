/* What the animals of the zoo have in common: a scorer that gives each token the attention it received, and that an
 * animal replaces parts of. An animal is one file with one bad habit, which its first line tells.
 * SPDX-License-Identifier: MIT */
#ifndef EVICTLAB_ZOO_ANIMAL_H
#define EVICTLAB_ZOO_ANIMAL_H

#include <evictlab/scorer.h>

static inline evl_status tame_create(const double* values, evl_instance** instance, evl_error* error) {
    static int nothing;
    (void)values, (void)error;
    *instance = (evl_instance*)&nothing;
    return EVL_OK;
}

static inline evl_status tame_score(evl_instance* instance, const evl_batch* batch, double* scores, evl_error* error) {
    (void)instance, (void)error;
    for (uint32_t h = 0; h < batch->heads; ++h)
        for (uint32_t i = 0; i < batch->tokens; ++i)
            scores[h * batch->tokens + i] = batch->columns[0][(ptrdiff_t)h * batch->head_stride[0] + i];
    return EVL_OK;
}

static inline void tame_destroy(evl_instance* instance) { (void)instance; }

static const char* const animal_columns[] = {"cumulative_attn"};

/* The whole plugin, with the flags and the three functions given. */
#define ANIMAL(id, flags, create, score, destroy)                                                                      \
    const evl_plugin evictlab_scorer = {EVL_HEADER,                                                                    \
                                        id,                                                                            \
                                        "An animal",                                                                   \
                                        "1.0.0",                                                                       \
                                        "of the zoo",                                                                  \
                                        "",                                                                            \
                                        flags,                                                                         \
                                        1,                                                                             \
                                        animal_columns,                                                                \
                                        0,                                                                             \
                                        sizeof(evl_param),                                                             \
                                        0,                                                                             \
                                        0,                                                                             \
                                        sizeof(evl_preset),                                                            \
                                        0,                                                                             \
                                        create,                                                                        \
                                        score,                                                                         \
                                        destroy,                                                                       \
                                        0,                                                                             \
                                        0,                                                                             \
                                        0,                                                                             \
                                        0,                                                                             \
                                        0,                                                                             \
                                        0}

#define USUAL (EVL_DETERMINISTIC | EVL_CONCURRENT)

#endif
