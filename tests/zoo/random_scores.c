/* Scores otherwise at each call, and says that it is deterministic.
 * SPDX-License-Identifier: MIT */
#include "animal.h"

static unsigned calls;

static evl_status score(evl_instance* instance, const evl_batch* batch, double* scores, evl_error* error) {
    const evl_status status = tame_score(instance, batch, scores, error);
    scores[0] += ++calls;
    return status;
}

ANIMAL("random_scores", EVL_DETERMINISTIC, tame_create, score, tame_destroy);
