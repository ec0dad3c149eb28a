/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The calls that not every host has: each is made once, and what came of it is told. No version is asked: a system that
 * is no Linux, a filter of system calls and an old kernel refuse alike. Nothing leaves the host, and nothing of it is
 * changed.
 */
#pragma once

#include "probe/lacking.h"

/* With an entry of lacking.h its words are the same as those of the agent's log. */
struct capability {
    enum lacking lacking; /* LACKING_KINDS: what and instead stand here */
    const char *tried;
    int (*try)(void); /* 0 or a negative errno */
    const char *what, *instead;
};

#define CAPABILITIES_MAX 64
extern const struct capability capabilities[];
extern const size_t capability_count;

const char *capability_what(const struct capability *capability);
/* What is done without it. */
const char *capability_instead(const struct capability *capability);
/* Is it one of those that probing needs at least one of? */
bool capability_is_probing(const struct capability *capability);
