/* Writes one score too many.
 * SPDX-License-Identifier: MIT */
#include "animal.h"

static evl_status score(evl_instance* instance, const evl_batch* batch, double* scores, evl_error* error) {
    scores[(size_t)batch->heads * batch->tokens] = 1;
    return tame_score(instance, batch, scores, error);
}

ANIMAL("writes_behind", USUAL, tame_create, score, tame_destroy);
