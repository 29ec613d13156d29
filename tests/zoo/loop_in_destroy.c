/* Never comes back from destroy.
 * SPDX-License-Identifier: MIT */
#include "animal.h"

static volatile int busy = 1;

static void destroy(evl_instance* instance) {
    while (busy) {
    }
    tame_destroy(instance);
}

ANIMAL("loop_in_destroy", USUAL, tame_create, tame_score, destroy);
