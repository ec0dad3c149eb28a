/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A profile's refusals as a filter of this process's system calls, and of what it starts: seccomp(2).
 */
#pragma once

#include <stdint.h>

/*
 * From here on the calls fail. What depends on the kind of a descriptor a supervisor decides, which answers what the
 * descriptor that is returned says (seccomp_unotify(2)); close it, and such calls fail. -1 with errno.
 */
int filter_install(uint32_t profile);
