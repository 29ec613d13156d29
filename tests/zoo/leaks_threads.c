/* Starts threads without end, and leaves them.
 * SPDX-License-Identifier: MIT */
#include <pthread.h>
#include <unistd.h>

#include "animal.h"

static void* linger(void* nothing) {
    for (;;) pause();
    return nothing;
}

static evl_status score(evl_instance* instance, const evl_batch* batch, double* scores, evl_error* error) {
    pthread_attr_t small;
    pthread_attr_init(&small);
    pthread_attr_setstacksize(&small, 65536);
    pthread_t thread;
    for (int i = 0; i < 400; ++i)
        if (pthread_create(&thread, &small, linger, 0) == 0) pthread_detach(thread);
    return tame_score(instance, batch, scores, error);
}

ANIMAL("leaks_threads", USUAL, tame_create, score, tame_destroy);
