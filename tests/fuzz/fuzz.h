/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the fuzz targets share. A target is a file fuzz_NAME.c with this one function; with -Dfuzz=true and
 * clang it is built with libFuzzer, and fuzz_mutate.c runs the same function over its seeds and mutations of
 * them in the normal suite. The seeds are the files in seeds/NAME.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A fact that no input may change. */
#define fuzz_check(fact) ((fact) ? (void)0 : abort())
