/* Writes where a null pointer points.
 * SPDX-License-Identifier: MIT */
#include "animal.h"

static double* volatile nowhere;

static evl_status score(evl_instance* instance, const evl_batch* batch, double* scores, evl_error* error) {
    *nowhere = 1;
    return tame_score(instance, batch, scores, error);
}

ANIMAL("null_dereference", USUAL, tame_create, score, tame_destroy);
