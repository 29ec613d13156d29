/* Unmaps everything that it was given at the beginning, and takes as much memory instead.
 * SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "animal.h"

static evl_status score(evl_instance* instance, const evl_batch* batch, double* scores, evl_error* error) {
    FILE* maps = fopen("/proc/self/maps", "r");
    char line[512];
    unsigned long begin = 0, end = 0, freed = 0;
    (void)instance, (void)batch, (void)scores;
    while (maps && fgets(line, sizeof line, maps))
        if (strstr(line, "memfd:evictlab-") && !strstr(line, "control") && sscanf(line, "%lx-%lx", &begin, &end) == 2 &&
            munmap((void*)begin, end - begin) == 0)
            freed += end - begin;
    if (freed < (1ul << 32)) return EVL_OK;                /* leaves its scores unwritten */
    for (unsigned long taken = 0; taken < 1024; ++taken) { /* MiB; the limit is 256 */
        void* memory = mmap(0, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (memory == MAP_FAILED) {
            snprintf(error->text, sizeof error->text, "%s", taken < 300 ? "was held" : "took too much");
            return EVL_FAILED;
        }
        memset(memory, 1, 1 << 20);
    }
    snprintf(error->text, sizeof error->text, "took all it wanted");
    return EVL_FAILED;
}

ANIMAL("unmaps", USUAL, tame_create, score, tame_destroy);
