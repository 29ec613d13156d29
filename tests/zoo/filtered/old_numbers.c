/* Enters the kernel by another way than its kind of machine's usual one (x32), where numbers mean other things.
 * SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include <unistd.h>

#include "../animal.h"

static evl_status score(evl_instance* instance, const evl_batch* batch, double* scores, evl_error* error) {
    syscall(0x40000000 | 57); /* fork */
    return tame_score(instance, batch, scores, error);
}

ANIMAL("old_numbers", USUAL, tame_create, score, tame_destroy);
