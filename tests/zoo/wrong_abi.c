/* Comes from the future.
 * SPDX-License-Identifier: MIT */
#include "animal.h"

EVL_EXPORT const evl_plugin evictlab_scorer = {EVL_MAGIC,
                                               9,
                                               4,
                                               sizeof(evl_plugin),
                                               "wrong_abi",
                                               "An animal",
                                               "1.0.0",
                                               "of the zoo",
                                               "",
                                               USUAL,
                                               1,
                                               animal_columns,
                                               0,
                                               sizeof(evl_param),
                                               0,
                                               0,
                                               sizeof(evl_preset),
                                               0,
                                               tame_create,
                                               tame_score,
                                               tame_destroy,
                                               0,
                                               0,
                                               0,
                                               0};
