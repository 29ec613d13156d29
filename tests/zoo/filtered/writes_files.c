/* Writes files where it can; fails if it can.
 * SPDX-License-Identifier: MIT */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>

#include "../animal.h"

static evl_status caught(evl_error* error, const char* what) {
    snprintf(error->text, sizeof error->text, "could %s", what);
    return EVL_FAILED;
}

static evl_status score(evl_instance* instance, const evl_batch* batch, double* scores, evl_error* error) {
    if (open("zoo-was-here", O_WRONLY | O_CREAT, 0600) >= 0) return caught(error, "make a file");
    if (open("/dev/shm/zoo-was-here", O_RDWR | O_CREAT, 0600) >= 0) return caught(error, "make shared memory");
    if (mkdtemp((char[]){"zoo-XXXXXX"})) return caught(error, "make a folder");
    if (tmpfile()) return caught(error, "make a file without a name");
    return tame_score(instance, batch, scores, error);
}

ANIMAL("writes_files", USUAL, tame_create, score, tame_destroy);
