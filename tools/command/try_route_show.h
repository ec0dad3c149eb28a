/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What came of a cycle (try_route.h), for people and as a document.
 */
#pragma once

#include <cjson/cJSON.h>

#include "tools/command/try_route.h"

/* A line for the step and one for each of its commands. */
void try_run_print_step(const struct try_run *run, const struct try_step *step);
/* The lines before the first step and after the last one. */
void try_run_print_head(const struct try_run *run);
void try_run_print_end(const struct try_run *run);

/* The member `route` of reroute.capabilities/1; the caller's to delete. */
cJSON *try_run_document(const struct try_run *run);
