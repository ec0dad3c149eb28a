/* SPDX-License-Identifier: Apache-2.0 */
/* Whether a thread or a process waits for something: a state that tests can wait for where it has no other sign. */
#pragma once

#include <stdbool.h>
#include <stdio.h>
#include <sys/types.h>
#include <unistd.h>

/* thread: as gettid() has it, or a process for its first thread. False also when there is none. */
static inline bool is_asleep(pid_t thread)
{
    char path[32], state = 0;
    FILE *file;

    snprintf(path, sizeof(path), "/proc/%d/stat", thread);
    file = fopen(path, "re");
    if (!file)
        return false;
    if (fscanf(file, "%*d (%*[^)]) %c", &state) != 1)
        state = 0;
    fclose(file);
    return state == 'S';
}

/* Waits until it does, or 20 s. */
static inline bool falls_asleep(pid_t thread)
{
    for (int i = 0; i < 20000; i++) {
        if (is_asleep(thread))
            return true;
        usleep(1000);
    }
    return false;
}
