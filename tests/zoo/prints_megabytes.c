/* Prints and prints.
 * SPDX-License-Identifier: MIT */
#include <stdio.h>

#include "animal.h"

static evl_status create(const double* values, evl_instance** instance, evl_error* error) {
    for (int i = 0; i < 20000; ++i) {
        printf("I am a scorer, and this is line %d of very many that nobody asked for\n", i);
        fprintf(stderr, "likewise %d\n", i);
    }
    fflush(stdout);
    return tame_create(values, instance, error);
}

ANIMAL("prints_megabytes", USUAL, create, tame_score, tame_destroy);
