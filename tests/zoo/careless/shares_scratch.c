/* Says that its calls may overlap, and sums up in a global. SPDX-License-Identifier: MIT */
#include "../animal.h"

static volatile double sum;

static evl_status score(evl_instance* instance, const evl_batch* batch, double* scores, evl_error* error) {
    tame_score(instance, batch, scores, error);
    for (int turn = 0; turn < 2000; ++turn) {
        sum = 0;
        for (uint32_t i = 0; i < batch->tokens; ++i) sum += scores[i];
    }
    scores[0] = sum;
    return EVL_OK;
}

ANIMAL("shares_scratch", USUAL, tame_create, score, tame_destroy);
