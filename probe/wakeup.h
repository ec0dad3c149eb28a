/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What ends another thread's wait, or is written to by a signal handler: an eventfd, or a pipe or a pair of
 * sockets where the kernel has no eventfd for us. Both ends are non-blocking.
 */
#pragma once

#include "probe/base.h"

struct wakeup {
    int fd;      /* readable once somebody has written; -1: none */
    int ring_fd; /* to be written to; an eventfd's is the same */
};

#define WAKEUP_NONE ((struct wakeup){-1, -1})

/* 0, or a negative errno with one line in message; *wakeup is WAKEUP_NONE then. */
int wakeup_open(struct wakeup *wakeup, char *message, size_t size_bytes);
void wakeup_close(struct wakeup *wakeup);

/* Any thread may, and a signal handler. */
static inline void wakeup_ring(int ring_fd)
{
    int saved = errno;

    if (write(ring_fd, &(uint64_t){1}, sizeof(uint64_t)) < 0) {
        /* It is full, so it is readable. */
    }
    errno = saved;
}

/* Until somebody writes again fd is not readable. */
static inline void wakeup_empty(int fd)
{
    char bytes[512];

    while (read(fd, bytes, sizeof(bytes)) == (ssize_t)sizeof(bytes)) {
        /* A pipe has more; an eventfd gives its 8 bytes. */
    }
}
