/* Never comes back from create.
 * SPDX-License-Identifier: MIT */
#include "animal.h"

static volatile int busy = 1;

static evl_status create(const double* values, evl_instance** instance, evl_error* error) {
    while (busy) {
    }
    return tame_create(values, instance, error);
}

ANIMAL("loop_in_create", USUAL, create, tame_score, tame_destroy);
