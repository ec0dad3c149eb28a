/* SPDX-License-Identifier: Apache-2.0 */
/* The exit codes of all commands. */
#pragma once

/* As fping's. 0: all is done and well. */
enum exit_code {
    EXIT_NOT_ALL = 1,        /* refused; or not all of what was asked for came */
    EXIT_NAME_NOT_FOUND = 2, /* report: something is no target, or a name has no address */
    EXIT_USAGE = 3,          /* bad arguments or configuration */
    EXIT_SYSTEM = 4,         /* the system did not let us */
};
