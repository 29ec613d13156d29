/* Scores that are no numbers once it has seen all layers. SPDX-License-Identifier: MIT */
#include "../animal.h"

#include <math.h>
#include <string.h>

static const char* const columns[] = {"cumulative_attn"};

static evl_status model_scores(evl_instance* instance, const evl_model_query* query, double* const* scores,
                               evl_error* error) {
    (void)instance, (void)error;
    scores[0][query->layers[0].tokens - 1] = NAN;
    return EVL_OK;
}

static const void* extension(const char* id) {
    static const evl_model_scores changed = {model_scores};
    return strcmp(id, EVL_MODEL_SCORES) == 0 ? &changed : 0;
}

const evl_plugin evictlab_scorer = {EVL_HEADER,
                                    .id = "doubts_models",
                                    .name = "An animal",
                                    .version = "1.0.0",
                                    .description = "scores what is no number",
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
