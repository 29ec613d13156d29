/* Reads a column behind the one that it declared. SPDX-License-Identifier: MIT */
#include "../animal.h"

static evl_status score(evl_instance* instance, const evl_batch* batch, double* scores, evl_error* error) {
    tame_score(instance, batch, scores, error);
    if (batch->columns[1]) scores[0] += batch->columns[1][0];
    return EVL_OK;
}

ANIMAL("reads_undeclared", USUAL, tame_create, score, tame_destroy);
