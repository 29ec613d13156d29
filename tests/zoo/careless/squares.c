/* Takes time with the square of the number of tokens. SPDX-License-Identifier: MIT */
#include "../animal.h"

static evl_status score(evl_instance* instance, const evl_batch* batch, double* scores, evl_error* error) {
    tame_score(instance, batch, scores, error);
    for (uint32_t i = 0; i < batch->tokens; ++i)
        for (uint32_t j = 0; j < batch->tokens; ++j) {
            volatile double difference = scores[i] - scores[j];
            (void)difference;
        }
    return EVL_OK;
}

ANIMAL("squares", USUAL, tame_create, score, tame_destroy);
