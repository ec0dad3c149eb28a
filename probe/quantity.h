/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Numbers, times and sizes as people write them, and back. One grammar; a command line is read more kindly
 * than a configuration file, which is written once and read by many.
 *
 *     time   digits[.digits] and a unit: us, ms, s, m, h       "100ms", "1.5s", "2m", "1h"
 *     size   the same with B, KiB, MiB, GiB
 *
 * What is written here can be read here.
 */
#pragma once

#include "probe/base.h"

/*
 * The digits at the start of text: decimal, no sign, no leading zero ("010" is 8 to some and 10 to others).
 * *end is what follows. -EINVAL: no digits; -EDOM: a leading zero; -ERANGE: more than 64 bits.
 */
int quantity_digits(const char *text, uint64_t *out, const char **end);

/*
 * As a configuration file has it: with its unit, digits on both sides of the point, no part of a nanosecond
 * or byte. 0; -EINVAL; -EDOM: a leading zero; -ERANGE: more than 64 bits.
 */
int quantity_time(const char *text, uint64_t *out_ns);
int quantity_size(const char *text, uint64_t *out_bytes);

/*
 * As a command line has it: also "0.25", "2." and ".5", which are seconds. Less than a nanosecond is cut off.
 * 0, -EINVAL, or -ERANGE when it is not from min_ns to max_ns.
 */
int quantity_time_argument(const char *text, uint64_t min_ns, uint64_t max_ns, uint64_t *out_ns);

/* A whole number of a command line, decimal or 0x..., from min to max. 0, -EINVAL, -ERANGE. */
int quantity_number(const char *text, uint64_t min, uint64_t max, uint64_t *out);

/* Exactly, in the largest unit that makes it whole, times up to seconds: "1500ms", "180s", "0.9us". */
#define QUANTITY_TEXT_SIZE 32
const char *quantity_time_text(uint64_t ns, char buffer[static QUANTITY_TEXT_SIZE]);
const char *quantity_size_text(uint64_t bytes, char buffer[static QUANTITY_TEXT_SIZE]);
