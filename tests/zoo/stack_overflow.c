/* Calls itself without end.
 * SPDX-License-Identifier: MIT */
#include "animal.h"

static volatile int depth;

static int deeper(volatile char* above) {
    volatile char frame[4096];
    frame[0] = *above;
    if (++depth < 0) return 0; /* not before the stack has ended */
    return deeper(frame) + frame[0];
}

static evl_status score(evl_instance* instance, const evl_batch* batch, double* scores, evl_error* error) {
    volatile char first = 0;
    if (deeper(&first)) return EVL_FAILED;
    return tame_score(instance, batch, scores, error);
}

ANIMAL("stack_overflow", USUAL, tame_create, score, tame_destroy);
