/* Ends the process that it runs in.
 * SPDX-License-Identifier: MIT */
#include <stdlib.h>

#include "animal.h"

static evl_status score(evl_instance* instance, const evl_batch* batch, double* scores, evl_error* error) {
    if (batch->tokens > 0) exit(7);
    return tame_score(instance, batch, scores, error);
}

ANIMAL("exits", USUAL, tame_create, score, tame_destroy);
