/* Starts process after process that stay.
 * SPDX-License-Identifier: MIT */
#include <unistd.h>

#include "animal.h"

static evl_status create(const double* values, evl_instance** instance, evl_error* error) {
    for (int i = 0; i < 50; ++i)
        if (fork() == 0)
            for (;;) pause();
    return tame_create(values, instance, error);
}

ANIMAL("fork_bomb", USUAL, create, tame_score, tame_destroy);
