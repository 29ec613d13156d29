/* Changes how floating-point numbers are rounded.
 * SPDX-License-Identifier: MIT */
#include <fenv.h>

#include "animal.h"

static evl_status score(evl_instance* instance, const evl_batch* batch, double* scores, evl_error* error) {
    fesetround(FE_UPWARD);
    return tame_score(instance, batch, scores, error);
}

ANIMAL("rounds_upward", USUAL, tame_create, score, tame_destroy);
