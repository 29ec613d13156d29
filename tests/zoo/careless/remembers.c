/* Adds the length of the longest batch that it has seen. SPDX-License-Identifier: MIT */
#include "../animal.h"

#include <stdlib.h>

static evl_status create(const double* values, evl_instance** instance, evl_error* error) {
    (void)values, (void)error;
    *instance = calloc(1, sizeof(uint32_t));
    return *instance ? EVL_OK : EVL_FAILED;
}

static evl_status score(evl_instance* instance, const evl_batch* batch, double* scores, evl_error* error) {
    uint32_t* const longest = (uint32_t*)instance;
    if (batch->tokens > *longest) *longest = batch->tokens;
    tame_score(instance, batch, scores, error);
    scores[0] += *longest;
    return EVL_OK;
}

static void destroy(evl_instance* instance) { free(instance); }

ANIMAL("remembers", EVL_DETERMINISTIC, create, score, destroy);
