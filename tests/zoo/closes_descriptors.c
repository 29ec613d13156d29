/* Closes all files of the process.
 * SPDX-License-Identifier: MIT */
#include <unistd.h>

#include "animal.h"

static evl_status score(evl_instance* instance, const evl_batch* batch, double* scores, evl_error* error) {
    for (int descriptor = 0; descriptor < 1024; ++descriptor) close(descriptor);
    return tame_score(instance, batch, scores, error);
}

ANIMAL("closes_descriptors", USUAL, tame_create, score, tame_destroy);
