/* Aborts, as a failed assertion does, with words.
 * SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <stdlib.h>

#include "animal.h"

static evl_status score(evl_instance* instance, const evl_batch* batch, double* scores, evl_error* error) {
    if (batch->tokens > 0) {
        fprintf(stderr, "aborts.c: this should never happen\n");
        abort();
    }
    return tame_score(instance, batch, scores, error);
}

ANIMAL("aborts", USUAL, tame_create, score, tame_destroy);
