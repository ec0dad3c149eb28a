/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a person has to know of first, by a status document (reroute.status/1): what is not as it should be.
 */
#pragma once

#include <cjson/cJSON.h>
#include <stdio.h>

/* A line for each, "WARNING   ..."; nothing when all is well. */
void warnings_print(FILE *out, const cJSON *status);
