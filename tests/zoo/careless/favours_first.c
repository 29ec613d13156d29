/* Says that all layers keep as many tokens, and gives the first one all there are. SPDX-License-Identifier: MIT */
#include "../animal.h"

#include <string.h>

static const char* const columns[] = {"cumulative_attn"};

static evl_status layer_budget(evl_instance* instance, const evl_budget_query* query, uint64_t* kept,
                               evl_error* error) {
    (void)instance, (void)error;
    *kept = query->layer == 0 ? query->tokens : query->kept;
    return EVL_OK;
}

static const void* extension(const char* id) {
    static const evl_layer_budget budgets = {layer_budget};
    return strcmp(id, EVL_LAYER_BUDGET) == 0 ? &budgets : 0;
}

const evl_plugin evictlab_scorer = {EVL_HEADER,
                                    .id = "favours_first",
                                    .name = "An animal",
                                    .version = "1.0.0",
                                    .description = "keeps all of the first layer",
                                    .reference = "",
                                    .flags = USUAL | EVL_EQUAL_LAYERS,
                                    .column_count = 1,
                                    .columns = columns,
                                    .param_size = sizeof(evl_param),
                                    .preset_size = sizeof(evl_preset),
                                    .create = tame_create,
                                    .score = tame_score,
                                    .destroy = tame_destroy,
                                    .extension = extension};
