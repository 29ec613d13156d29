/* Fills what it shares with the host with garbage, and then goes on.
 * SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <string.h>

#include "animal.h"

static evl_status score(evl_instance* instance, const evl_batch* batch, double* scores, evl_error* error) {
    FILE* maps = fopen("/proc/self/maps", "r");
    char line[512];
    unsigned long begin, end;
    while (maps && fgets(line, sizeof line, maps))
        if (strstr(line, "memfd:evictlab") && strstr(line, " rw-s") && sscanf(line, "%lx-%lx", &begin, &end) == 2)
            memset((void*)begin, 0xff, end - begin < 65536 ? end - begin : 65536);
    if (maps) fclose(maps);
    return tame_score(instance, batch, scores, error);
}

ANIMAL("scribbles", USUAL, tame_create, score, tame_destroy);
