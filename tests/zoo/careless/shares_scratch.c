/* Says that its calls may overlap, and sums up in a global; the yields make them overlap on one core too.
   SPDX-License-Identifier: MIT */
#include "../animal.h"

#include <sched.h>

static volatile double sum;

static evl_status score(evl_instance* instance, const evl_batch* batch, double* scores, evl_error* error) {
    tame_score(instance, batch, scores, error);
    sum = 0;
    for (uint32_t i = 0; i < batch->tokens; ++i) {
        sum += scores[i];
        sched_yield();
    }
    scores[0] = sum;
    return EVL_OK;
}

ANIMAL("shares_scratch", USUAL, tame_create, score, tame_destroy);
