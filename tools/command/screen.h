/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The live screen of `reroute status --watch` on a terminal; a build without ncurses has none.
 */
#pragma once

#include <stdbool.h>

/* Is there a terminal that can show it? */
bool screen_is_possible(void);

/* Shows it until the user ends it. The exit code. */
int screen_run(const char *socket_path);
