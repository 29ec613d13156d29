/* Writes a score before the first.
 * SPDX-License-Identifier: MIT */
#include "animal.h"

static evl_status score(evl_instance* instance, const evl_batch* batch, double* scores, evl_error* error) {
    scores[-1] = 1;
    return tame_score(instance, batch, scores, error);
}

ANIMAL("writes_before", USUAL, tame_create, score, tame_destroy);
