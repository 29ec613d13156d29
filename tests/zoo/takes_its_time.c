/* Is slow at every call, but never as slow as the time-out.
 * SPDX-License-Identifier: MIT */
#include <unistd.h>

#include "animal.h"

static evl_status score(evl_instance* instance, const evl_batch* batch, double* scores, evl_error* error) {
    usleep(15000);
    return tame_score(instance, batch, scores, error);
}

ANIMAL("takes_its_time", USUAL, tame_create, score, tame_destroy);
