/* Kills its process by the signal that others kill it with.
 * SPDX-License-Identifier: MIT */
#include <signal.h>
#include <unistd.h>

#include "animal.h"

static evl_status score(evl_instance* instance, const evl_batch* batch, double* scores, evl_error* error) {
    kill(getpid(), SIGKILL);
    return tame_score(instance, batch, scores, error);
}

ANIMAL("kills_itself", USUAL, tame_create, score, tame_destroy);
