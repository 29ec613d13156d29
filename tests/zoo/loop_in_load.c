/* Never comes back from being loaded.
 * SPDX-License-Identifier: MIT */
#include "animal.h"

static volatile int busy = 1;

__attribute__((constructor)) static void begin(void) {
    while (busy) {
    }
}

ANIMAL("loop_in_load", USUAL, tame_create, tame_score, tame_destroy);
