/* SPDX-License-Identifier: Apache-2.0 */
/* A configuration that exists only in memory: config_load() of a text. */
#pragma once

#include <sys/mman.h>

#include "route/config/config.h"

/* Criterion does not fail a test whose process leaks: ask the sanitizer, when it is there, inside the test.
 */
extern int __lsan_do_recoverable_leak_check(void) __attribute__((weak));

static inline bool leaks(void)
{
    return __lsan_do_recoverable_leak_check && __lsan_do_recoverable_leak_check() != 0;
}

struct loaded {
    struct config *config; /* NULL: rc and error say why */
    int rc;
    char path[64];
    char error[512]; /* without the path in front: ":3: ..." */
};

static inline struct loaded load_bytes(const char *bytes, size_t size_bytes)
{
    struct loaded l = {0};
    char message[512] = "";
    int fd = memfd_create("config", MFD_CLOEXEC);

    if (fd < 0 || write(fd, bytes, size_bytes) != (ssize_t)size_bytes)
        abort();
    snprintf(l.path, sizeof(l.path), "/proc/self/fd/%d", fd);
    l.rc = config_load(&l.config, l.path, message, sizeof(message));
    if (strncmp(message, l.path, strlen(l.path)) == 0)
        snprintf(l.error, sizeof(l.error), "%s", message + strlen(l.path));
    else
        snprintf(l.error, sizeof(l.error), "no path in: %.400s", message);
    close(fd);
    return l;
}

static inline struct loaded load_text(const char *text)
{
    return load_bytes(text, strlen(text));
}
