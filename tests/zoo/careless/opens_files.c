/* Opens a file in create and leaves it open. SPDX-License-Identifier: MIT */
#include "../animal.h"

#include <fcntl.h>

static evl_status create(const double* values, evl_instance** instance, evl_error* error) {
    if (open("/dev/null", O_RDONLY) < 0) return EVL_FAILED;
    return tame_create(values, instance, error);
}

ANIMAL("opens_files", USUAL, create, tame_score, tame_destroy);
