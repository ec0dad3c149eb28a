/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which values go together. Private to the configuration.
 */
#pragma once

#include "route/config/reader.h"

/* Fits the times that the file does not give to those that it gives. Before config_check(). */
void config_settle(const struct config_reader *reader, struct config *config);

/* Contradictions: every value is good by itself; do they go together? 0 or -EINVAL. */
int config_check(struct config_reader *reader, const struct config *config);
