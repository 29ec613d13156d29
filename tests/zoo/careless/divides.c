/* Divides by the attention of the first token, however small it is. SPDX-License-Identifier: MIT */
#include "../animal.h"

static evl_status score(evl_instance* instance, const evl_batch* batch, double* scores, evl_error* error) {
    tame_score(instance, batch, scores, error);
    for (uint64_t i = (uint64_t)batch->heads * batch->tokens; i-- > 0;) scores[i] /= scores[0];
    return EVL_OK;
}

ANIMAL("divides", USUAL, tame_create, score, tame_destroy);
