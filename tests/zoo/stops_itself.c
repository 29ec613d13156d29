/* Stops its process by the signal that others stop it with.
 * SPDX-License-Identifier: MIT */
#include <signal.h>
#include <unistd.h>

#include "animal.h"

static evl_status score(evl_instance* instance, const evl_batch* batch, double* scores, evl_error* error) {
    kill(getpid(), SIGSTOP);
    return tame_score(instance, batch, scores, error);
}

ANIMAL("stops_itself", USUAL, tame_create, score, tame_destroy);
