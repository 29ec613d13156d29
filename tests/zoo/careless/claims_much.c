/* Calls a preset published, and does not say by whom; its formula is none.
 * SPDX-License-Identifier: MIT */
#include "../animal.h"

static const evl_preset presets[] = {
    {.name = "paper", .help = "nobody's", .flags = EVL_PRESET_PUBLISHED, .formula = "cumulative_attn +"}};

const evl_plugin evictlab_scorer = {EVL_HEADER,
                                    .id = "claims_much",
                                    .name = "An animal",
                                    .version = "1.0.0",
                                    .description = "of the zoo",
                                    .reference = "",
                                    .flags = USUAL,
                                    .column_count = 1,
                                    .columns = animal_columns,
                                    .param_size = sizeof(evl_param),
                                    .preset_count = 1,
                                    .preset_size = sizeof(evl_preset),
                                    .presets = presets,
                                    .create = tame_create,
                                    .score = tame_score,
                                    .destroy = tame_destroy};
