/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One round of the ICMP parsers over arbitrary bytes: see fuzz_icmp.c.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
