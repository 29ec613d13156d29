/* Writes files, starts programs and calls home; fails if it can.
 * SPDX-License-Identifier: MIT */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ipc.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../animal.h"

static evl_status caught(evl_error* error, const char* what) {
    snprintf(error->text, sizeof error->text, "could %s", what);
    return EVL_FAILED;
}

static evl_status score(evl_instance* instance, const evl_batch* batch, double* scores, evl_error* error) {
    if (open("zoo-was-here", O_WRONLY | O_CREAT, 0600) >= 0) return caught(error, "make a file");
    if (open("/dev/shm/zoo-was-here", O_RDWR | O_CREAT, 0600) >= 0) return caught(error, "make shared memory");
    if (shmget(IPC_PRIVATE, 4096, IPC_CREAT | 0600) >= 0) return caught(error, "make System V shared memory");
    if (mkdtemp((char[]){"zoo-XXXXXX"})) return caught(error, "make a folder");
    if (socket(AF_INET, SOCK_STREAM, 0) >= 0) return caught(error, "open a network");
    if (fork() >= 0) return caught(error, "start a process");
    if (execl("/bin/true", "true", (char*)0) != -1) return caught(error, "run a program");
    return tame_score(instance, batch, scores, error);
}

ANIMAL("writes_files", USUAL, tame_create, score, tame_destroy);
