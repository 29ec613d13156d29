/* Frees the same memory twice.
 * SPDX-License-Identifier: MIT */
#include <stdlib.h>

#include "animal.h"

static void* volatile memory;

static evl_status score(evl_instance* instance, const evl_batch* batch, double* scores, evl_error* error) {
    memory = malloc(16);
    void* again = memory;
    free(memory);
    free(again);
    return tame_score(instance, batch, scores, error);
}

ANIMAL("double_free", USUAL, tame_create, score, tame_destroy);
