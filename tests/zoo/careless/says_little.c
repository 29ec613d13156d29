/* Has no description, a version that is none, and an extension for every id; asks for a column that it does not read.
 * SPDX-License-Identifier: MIT */
#include "../animal.h"

#include <string.h>

static const char* const columns[] = {"cumulative_attn", "key_norm"};

static evl_status layer_budget(evl_instance* instance, const evl_budget_query* query, uint64_t* kept,
                               evl_error* error) {
    (void)instance, (void)error;
    *kept = query->kept + 1;
    return EVL_OK;
}

static const void* extension(const char* id) {
    static const evl_layer_budget budget = {layer_budget};
    return strcmp(id, EVL_MODEL_BUDGETS) == 0 ? 0 : &budget;
}

const evl_plugin evictlab_scorer = {EVL_HEADER,
                                    "says_little",
                                    "An animal",
                                    "one",
                                    "",
                                    "",
                                    USUAL,
                                    2,
                                    columns,
                                    0,
                                    sizeof(evl_param),
                                    0,
                                    0,
                                    sizeof(evl_preset),
                                    0,
                                    tame_create,
                                    tame_score,
                                    tame_destroy,
                                    extension,
                                    0,
                                    0,
                                    0,
                                    0,
                                    0};
