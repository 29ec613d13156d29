/* Takes memory without end, and uses it.
 * SPDX-License-Identifier: MIT */
#include <stdlib.h>
#include <string.h>

#include "animal.h"

static evl_status score(evl_instance* instance, const evl_batch* batch, double* scores, evl_error* error) {
    for (;;) memset(malloc(1 << 20), 1, 1 << 20);
    return tame_score(instance, batch, scores, error);
}

ANIMAL("allocates", USUAL, tame_create, score, tame_destroy);
