/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A profile's refusals as a filter of this process's system calls, and of what it starts: seccomp(2).
 */
#pragma once

#include <stdint.h>

/*
 * From here on each call that the profile refuses, uname(), and what goes to sock_diag is put before a supervisor, by the descriptor that is returned
 * (seccomp_unotify(2)). -1 with errno.
 */
int filter_install(uint32_t profile);
