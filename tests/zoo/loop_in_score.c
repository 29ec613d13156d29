/* Never comes back from score, and says that it is there.
 * SPDX-License-Identifier: MIT */
#include <stdio.h>

#include "animal.h"

static volatile int busy = 1;

static evl_status score(evl_instance* instance, const evl_batch* batch, double* scores, evl_error* error) {
    fputs("in score\n", stderr);
    while (busy) {
    }
    return tame_score(instance, batch, scores, error);
}

ANIMAL("loop_in_score", USUAL, tame_create, score, tame_destroy);
