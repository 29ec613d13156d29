/* Frees nothing in destroy. SPDX-License-Identifier: MIT */
#include "../animal.h"

#include <stdlib.h>
#include <string.h>

static evl_status create(const double* values, evl_instance** instance, evl_error* error) {
    (void)values, (void)error;
    void* const memory = malloc(48);
    if (!memory) return EVL_FAILED;
    *instance = memset(memory, 1, 48);
    return EVL_OK;
}

ANIMAL("keeps_memory", USUAL, create, tame_score, tame_destroy);
