/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Finding the addresses of names while the sweep goes on.
 *
 * getaddrinfo() blocks, for many seconds when a name server is dead, and cannot be stopped. So it runs in a
 * few threads, as many as there are names, up to 16, and none when there are none; each answer is handed over
 * through a queue, and a wakeup of the owner says that there is one. The threads share nothing else. The
 * owner may leave while lookups hang: the last one to go frees the memory.
 */
#pragma once

#include "probe/base.h"

struct report_names;

struct report_name_answer {
    uint32_t target;        /* as report_names_add() got it */
    int error;              /* 0, or why not: an EAI_ value, or a positive errno */
    struct address address; /* the first one that the system prefers (RFC 6724) */
};

/* family: AF_UNSPEC, AF_INET or AF_INET6. -ENOMEM. ring_fd of a wakeup stays the caller's, and open until free. */
int report_names_new(struct report_names **out, int family, int ring_fd);
/* Before start. The text is copied. -ENOMEM. */
int report_names_add(struct report_names *names, uint32_t target, const char *text);
/* Starts the threads. A negative errno when there is not a single one. */
int report_names_start(struct report_names *names);
/* Pulls one answer. False: none is waiting. Does not empty the wakeup. */
bool report_names_next(struct report_names *names, struct report_name_answer *answer);
/* All that have no answer yet are answered with REPORT_NAME_LATE; what hangs goes on hanging by itself. */
void report_names_give_up(struct report_names *names);
/* Did somebody who knows answer: there is an address, or no such name? */
bool report_name_is_answer(const struct report_name_answer *answer);
/* How many answers have not been pulled. */
uint32_t report_names_pending(const struct report_names *names);

struct report_names *report_names_free(struct report_names *names);
DEFINE_CLEANUP(struct report_names *, report_names_free)

/* Errors that neither errno nor getaddrinfo() has. */
enum report_name_error {
    REPORT_NAME_LATE = 1 << 16, /* the name service did not answer in time */
    REPORT_NAME_NO_HOST,        /* its address is no host's */
};

/* Text for an error of an answer, valid until the next call. */
const char *report_name_error_text(int error);
