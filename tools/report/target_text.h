/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What somebody wrote as a target: an address, a prefix, a range, a name, or why it is none of these. Pure
 * but for the names of interfaces.
 */
#pragma once

#include "probe/range.h"

/*
 * family: AF_INET or AF_INET6 when addresses of the other one are none; AF_UNSPEC. Returns 0 and the range;
 * -ENOENT: it is a name; or -EINVAL, -ENODEV (no such interface) with what is wrong in why, to be put behind
 * the text in quotes.
 */
int report_target_parse(struct probe_range *out, const char *text, int family, uint32_t scope, char *why,
                        size_t size_bytes);

/* Unspecified, multicast and broadcast addresses are no host's: what it is ("a multicast address"), or NULL.
 */
const char *report_no_host(const struct address *address);

/* A text for people, which may come from somebody's binary file: clean (probe/text.h) and shortened. */
#define SHOWN_BYTES 64
const char *report_shown(const char *text, char buffer[static SHOWN_BYTES]);
#define SHOWN(text) report_shown((text), (char[SHOWN_BYTES]){0})
