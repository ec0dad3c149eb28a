/* SPDX-License-Identifier: Apache-2.0 */
/*
 * In place of rest.c where it was not built: the kind is known, and refused.
 */
#include "session/backend.h"

const struct session_backend session_backend_rest = {
    .kind = "rest",
    .missing = "this build has no HTTP client (libcurl)",
};
