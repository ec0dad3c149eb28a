/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Hosts on which calls of the kernel fail that a Linux of today has: who refuses what, as a table.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Argument `index` of a call, without the bits in `ignored`, is `value`. Only its lower 32 bits count. */
struct condition {
    unsigned index;
    uint32_t value;
    uint32_t ignored;
};

struct refusal {
    const char *what;
    uint32_t profiles; /* where; a bit for each, as profile_find() gives */
    int error;         /* how: a positive errno */
    long calls[2];     /* SYS_ numbers; 0: no second one */
    size_t count;      /* of conditions, which must all hold */
    struct condition conditions[3];
    bool on_unix_sockets; /* only then; the descriptor is argument `descriptor` */
    unsigned descriptor;
};

extern const struct refusal refusals[];
extern const size_t refusal_count;

/* The bit of a profile; 0: there is none of this name. */
uint32_t profile_find(const char *name);

/* The name of the profile with this number, NULL after the last one. */
const char *profile_name(size_t number);

/* What uname(2) says there of the kernel, in static storage. NULL: what it says here. */
struct kernel_name {
    const char *system;
    const char *release;
};
const struct kernel_name *profile_kernel(uint32_t profile);

/*
 * Whether sock_diag does not know SOCK_DESTROY there, as before Linux 4.5: the answer to what it does not know is EINVAL
 * (net/core/sock_diag.c, sock_diag_rcv_msg()).
 */
bool profile_cannot_destroy(uint32_t profile);

/* Whether /proc and /sys are empty there. */
bool profile_has_no_proc(uint32_t profile);
