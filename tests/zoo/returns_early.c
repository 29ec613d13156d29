/* Leaves the last score unwritten and reports success.
 * SPDX-License-Identifier: MIT */
#include "animal.h"

static evl_status score(evl_instance* instance, const evl_batch* batch, double* scores, evl_error* error) {
    evl_batch fewer = *batch;
    fewer.tokens = batch->tokens - 1;
    return tame_score(instance, &fewer, scores, error);
}

ANIMAL("returns_early", USUAL, tame_create, score, tame_destroy);
