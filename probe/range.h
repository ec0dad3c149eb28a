/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ranges of addresses: prefixes and ranges as people write them, arithmetic, sets of ranges.
 */
#pragma once

#include "probe/base.h"

/* Both ends belong to it; they are of one family and scope, last is not before first. */
struct probe_range {
    struct address first;
    struct address last;
};

/*
 * Parses an address ("10.0.0.1", "fe80::1%eth0"), a prefix ("10.0.0.0/16": all its addresses, the first and
 * the last as well; bits beyond the prefix are ignored) or a range ("10.0.0.1-10.0.3.254",
 * "fe80::1-fe80::ff%eth0"). Returns 0; -ENOENT when it looks like none of them and may be a name; or -EINVAL,
 * -ENODEV (no such interface) with what is wrong in message, to be put behind the text.
 */
int probe_range_parse(struct probe_range *out, const char *text, char *message, size_t size_bytes);
/* The same where link-local addresses that name no interface have this one; 0: they are wrong. */
int probe_range_parse_on(struct probe_range *out, const char *text, uint32_t scope, char *message,
                         size_t size_bytes);

/* The order of (family, scope, address): below, at or above zero. */
int probe_address_compare(const struct address *a, const struct address *b);
/* n addresses further, within one family. */
struct address probe_address_plus(const struct address *a, uint64_t n);
/* How many from a to b, both included; UINT64_MAX stands for that many and more. */
uint64_t probe_address_count(const struct address *a, const struct address *b);

/* All zero is an empty set. It is asked only when it has been sorted after the last addition. */
struct probe_range_set {
    struct probe_range *list;
    size_t count, room;
};

int probe_range_set_add(struct probe_range_set *set, const struct probe_range *range); /* -ENOMEM */
/* Sorts, and merges what overlaps. */
void probe_range_set_sort(struct probe_range_set *set);
bool probe_range_set_has(const struct probe_range_set *set, const struct address *address);
/* The first range that does not end before this address, or NULL. */
const struct probe_range *probe_range_set_from(const struct probe_range_set *set,
                                               const struct address *address);
void probe_range_set_clear(struct probe_range_set *set);
