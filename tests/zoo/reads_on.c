/* Reads its column to the end of the memory that it lies in.
 * SPDX-License-Identifier: MIT */
#include "animal.h"

static evl_status score(evl_instance* instance, const evl_batch* batch, double* scores, evl_error* error) {
    volatile const double* column = batch->columns[0];
    double sum = 0;
    for (size_t i = 0; i < (size_t)1 << 31; i += 512) sum += column[i];
    scores[0] = sum;
    return tame_score(instance, batch, scores, error);
}

ANIMAL("reads_on", USUAL, tame_create, score, tame_destroy);
