/* Refuses batches of hosts that know more than it does. SPDX-License-Identifier: MIT */
#include "../animal.h"

static evl_status score(evl_instance* instance, const evl_batch* batch, double* scores, evl_error* error) {
    if (batch->struct_size != sizeof(evl_batch)) return EVL_FAILED;
    return tame_score(instance, batch, scores, error);
}

ANIMAL("compares_size", USUAL, tame_create, score, tame_destroy);
