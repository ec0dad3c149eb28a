/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A status document (reroute.status/1) in words: where the route leads and why, what would move it, when it goes home.
 */
#pragma once

#include <cjson/cJSON.h>

/* Of a document as the agent gives it; of anything else it says what is there. Malloc'ed; NULL: no memory. */
char *explanation_text(const cJSON *status);
