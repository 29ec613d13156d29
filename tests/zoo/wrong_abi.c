/* Comes from the future.
 * SPDX-License-Identifier: MIT */
#include "animal.h"

EVL_EXPORT const evl_plugin evictlab_scorer = {.magic = EVL_MAGIC,
                                               .abi_major = 9,
                                               .abi_minor = 4,
                                               .struct_size = sizeof(evl_plugin),
                                               .id = "wrong_abi",
                                               .name = "An animal",
                                               .version = "1.0.0",
                                               .description = "of the zoo",
                                               .reference = "",
                                               .flags = USUAL,
                                               .column_count = 1,
                                               .columns = animal_columns,
                                               .param_size = sizeof(evl_param),
                                               .preset_size = sizeof(evl_preset),
                                               .create = tame_create,
                                               .score = tame_score,
                                               .destroy = tame_destroy};
