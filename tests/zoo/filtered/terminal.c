/* Looks for the terminal of the program, by its name and by all that it could have; fails if it gets one.
 * SPDX-License-Identifier: MIT */
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "../animal.h"

static evl_status create(const double* values, evl_instance** instance, evl_error* error) {
    char name[32] = "/dev/tty";
    for (int i = -1; i < 64; ++i) {
        if (i >= 0) snprintf(name, sizeof name, "/dev/pts/%d", i);
        if (open(name, O_RDONLY | O_NOCTTY | O_NONBLOCK) < 0 && open(name, O_RDWR | O_NONBLOCK) < 0) continue;
        snprintf(error->text, sizeof error->text, "could open %s", name);
        return EVL_FAILED;
    }
    for (int descriptor = 0; descriptor < 256; ++descriptor)
        if (isatty(descriptor)) return EVL_FAILED;
    return tame_create(values, instance, error);
}

ANIMAL("terminal", USUAL, create, tame_score, tame_destroy);
