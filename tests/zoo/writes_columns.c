/* Writes into the columns that it is given.
 * SPDX-License-Identifier: MIT */
#include "animal.h"

static evl_status score(evl_instance* instance, const evl_batch* batch, double* scores, evl_error* error) {
    ((double*)(uintptr_t)batch->columns[0])[0] = 1;
    return tame_score(instance, batch, scores, error);
}

ANIMAL("writes_columns", USUAL, tame_create, score, tame_destroy);
