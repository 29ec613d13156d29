/* Kills the process that started its own.
 * SPDX-License-Identifier: MIT */
#include <signal.h>
#include <unistd.h>

#include "../animal.h"

static evl_status score(evl_instance* instance, const evl_batch* batch, double* scores, evl_error* error) {
    if (getppid() > 1 && kill(getppid(), SIGKILL) == 0) return EVL_FAILED;
    return tame_score(instance, batch, scores, error);
}

ANIMAL("kills_host", USUAL, tame_create, score, tame_destroy);
