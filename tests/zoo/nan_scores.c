/* Scores 0/0.
 * SPDX-License-Identifier: MIT */
#include "animal.h"

static evl_status score(evl_instance* instance, const evl_batch* batch, double* scores, evl_error* error) {
    const evl_status status = tame_score(instance, batch, scores, error);
    scores[2] = __builtin_nan("");
    return status;
}

ANIMAL("nan_scores", USUAL, tame_create, score, tame_destroy);
