/* Takes it that the heads of a column follow each other without gaps. SPDX-License-Identifier: MIT */
#include "../animal.h"

static evl_status score(evl_instance* instance, const evl_batch* batch, double* scores, evl_error* error) {
    (void)instance, (void)error;
    for (uint64_t i = 0; i < (uint64_t)batch->heads * batch->tokens; ++i) scores[i] = batch->columns[0][i];
    return EVL_OK;
}

ANIMAL("ignores_stride", USUAL, tame_create, score, tame_destroy);
