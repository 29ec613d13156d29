/* Starts a thread that never ends.
 * SPDX-License-Identifier: MIT */
#include <pthread.h>
#include <unistd.h>

#include "animal.h"

static void* linger(void* nothing) {
    for (;;) pause();
    return nothing;
}

static evl_status create(const double* values, evl_instance** instance, evl_error* error) {
    pthread_t thread;
    if (pthread_create(&thread, 0, linger, 0) != 0) return EVL_FAILED;
    pthread_detach(thread);
    return tame_create(values, instance, error);
}

ANIMAL("lingering_thread", USUAL, create, tame_score, tame_destroy);
