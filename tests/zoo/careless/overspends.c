/* Has a budget of the whole model, of which each head of the first layer gets a token more than there are.
 * SPDX-License-Identifier: MIT */
#include "../animal.h"

#include <string.h>

static const char* const columns[] = {"cumulative_attn"};

static evl_status model_budgets(evl_instance* instance, const evl_model_query* query, uint64_t* kept,
                                evl_error* error) {
    (void)instance, (void)error;
    for (uint32_t head = 0; head < query->layers[0].heads; ++head) kept[head] = query->layers[0].tokens + 1;
    return EVL_OK;
}

static const void* extension(const char* id) {
    static const evl_model_budgets budgets = {0, 0, model_budgets};
    return strcmp(id, EVL_MODEL_BUDGETS) == 0 ? &budgets : 0;
}

const evl_plugin evictlab_scorer = {EVL_HEADER,
                                    .id = "overspends",
                                    .name = "An animal",
                                    .version = "1.0.0",
                                    .description = "keeps more than there is",
                                    .reference = "",
                                    .flags = USUAL,
                                    .column_count = 1,
                                    .columns = columns,
                                    .param_size = sizeof(evl_param),
                                    .preset_size = sizeof(evl_preset),
                                    .create = tame_create,
                                    .score = tame_score,
                                    .destroy = tame_destroy,
                                    .extension = extension};
