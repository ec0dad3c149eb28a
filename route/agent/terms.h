/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a person may say to an order (pin, drain) besides: until when it holds, and why it was given.
 */
#pragma once

#include "route/config/settings.h"

#define TERMS_BECAUSE_SIZE 121 /* a sentence */

struct terms {
    uint64_t until_ns; /* CLOCK_REALTIME, as people mean it; 0: until it is taken back */
    char because[TERMS_BECAUSE_SIZE];
};

/* An access that is drained. */
struct drain {
    char access[CONFIG_NAME_SIZE];
    struct terms terms;
};
