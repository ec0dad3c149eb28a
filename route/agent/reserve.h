/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Descriptors that are kept back for what must not fail when the process has no others left.
 */
#pragma once

#define RESERVE_SIZE 4

struct reserve {
    int fds[RESERVE_SIZE]; /* -1: not had */
};

/* Nothing is had yet. */
#define RESERVE_EMPTY ((struct reserve){.fds = {-1, -1, -1, -1}})

/* Gives them back to the process: the next descriptors it opens are these. */
void reserve_release(struct reserve *reserve);
/* Takes what is missing; what cannot be had now is tried again the next time. */
void reserve_keep(struct reserve *reserve);
/* As many as the system lets this process have. */
void reserve_raise_limit(void);
