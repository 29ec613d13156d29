/* Takes longer than the time-out at every call, and says all the while to the host that it has begun another one.
 * SPDX-License-Identifier: MIT */
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "animal.h"

/* Counts up what lies behind the two numbers of which the host raises one and the worker the other. */
static void* count_up(void* nothing) {
    FILE* maps = fopen("/proc/self/maps", "r");
    char line[512];
    unsigned long begin = 0, end = 0, found = 0;
    while (maps && fgets(line, sizeof line, maps))
        if (strstr(line, "memfd:evictlab-control") && sscanf(line, "%lx-%lx", &begin, &end) == 2) found = begin;
    if (maps) fclose(maps);
    for (; found; usleep(1000)) {
        volatile uint32_t* words = (volatile uint32_t*)found;
        for (int i = 8; i < 32; ++i)
            if (words[i + 1] > 0 && words[i] == words[i + 1] + 1) ++words[i + 2];
    }
    return nothing;
}

static evl_status score(evl_instance* instance, const evl_batch* batch, double* scores, evl_error* error) {
    static int begun;
    pthread_t thread;
    if (!begun++ && pthread_create(&thread, 0, count_up, 0) == 0) pthread_detach(thread);
    sleep(2);
    return tame_score(instance, batch, scores, error);
}

ANIMAL("late_each_time", USUAL, tame_create, score, tame_destroy);
