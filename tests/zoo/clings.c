/* Does what it can to live longer than the program, and never comes back.
 * SPDX-License-Identifier: MIT */
#include <signal.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "animal.h"

static evl_status score(evl_instance* instance, const evl_batch* batch, double* scores, evl_error* error) {
    for (int signal = 1; signal < 65; ++signal)
        if (signal != SIGSYS) sigaction(signal, &(struct sigaction){.sa_handler = SIG_IGN}, 0);
    if (batch->tokens == 0) return tame_score(instance, batch, scores, error);
    if (prctl(PR_SET_PDEATHSIG, 0) == 0) setsid();
    for (;;) pause();
}

ANIMAL("clings", USUAL, tame_create, score, tame_destroy);
