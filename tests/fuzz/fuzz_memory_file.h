/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For targets whose function reads a file by its name: one that is in memory only.
 */
#pragma once

#include <stdint.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/fuzz/fuzz.h"

struct fuzz_file {
    int fd;
    char path[32];
};

static inline struct fuzz_file fuzz_file_make(const uint8_t *data, size_t size)
{
    struct fuzz_file file = {.fd = memfd_create("fuzz", MFD_CLOEXEC)};

    fuzz_check(file.fd >= 0 && write(file.fd, data, size) == (ssize_t)size);
    snprintf(file.path, sizeof(file.path), "/proc/self/fd/%d", file.fd);
    return file;
}
