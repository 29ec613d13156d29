/* Has no description, a version that is none, and an extension for nearly every id; asks for a column that it does not
 * read. SPDX-License-Identifier: MIT */
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
    static const char* const not_given[] = {EVL_MODEL_BUDGETS, EVL_MODEL_SCORES, EVL_THRESHOLD};
    for (int i = 0; i < 3; ++i)
        if (strcmp(id, not_given[i]) == 0) return 0;
    return &budget;
}

const evl_plugin evictlab_scorer = {EVL_HEADER,
                                    .id = "says_little",
                                    .name = "An animal",
                                    .version = "one",
                                    .description = "",
                                    .reference = "",
                                    .flags = USUAL,
                                    .column_count = 2,
                                    .columns = columns,
                                    .param_size = sizeof(evl_param),
                                    .preset_size = sizeof(evl_preset),
                                    .create = tame_create,
                                    .score = tame_score,
                                    .destroy = tame_destroy,
                                    .extension = extension};
