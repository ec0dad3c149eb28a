/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Descriptors that are kept back for what must not fail when the process has no others left.
 */
#pragma once

#define SPARE_FDS_COUNT 4

struct spare_fds {
    int fds[SPARE_FDS_COUNT]; /* -1: not had */
};

/* Nothing is had yet. */
#define SPARE_FDS_NONE ((struct spare_fds){.fds = {-1, -1, -1, -1}})

/* Gives them back to the process: the next descriptors it opens are these. */
void spare_fds_release(struct spare_fds *spare);
/* Takes what is missing; what cannot be had now is tried again the next time. */
void spare_fds_keep(struct spare_fds *spare);
/* As many as the system lets this process have. */
void spare_fds_raise_limit(void);
