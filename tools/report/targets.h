/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The targets of a report, in the order in which they were given: read from arguments and files, without
 * those that are excluded or belong to other shards.
 *
 * Addresses, prefixes and ranges take no text (probe/targets.h): what was given for an address is the
 * address. A text is kept only for names, and for addresses that were written in another way than this host
 * writes them.
 */
#pragma once

#include "probe/targets.h"

struct report_text {
    char *text;     /* as given */
    uint32_t index; /* of its target; they ascend */
    bool is_name;
    struct address excluded; /* the address that was found for the name, when it is excluded */
    int name_error; /* not found: an EAI_ value of getaddrinfo(), or a positive errno; 0: found, or not yet */
};

/* What was given as a target and is none; the first ones are kept as lines for people. */
#define REPORT_BAD_LINES 20
struct report_bad {
    uint64_t count;
    char *lines[REPORT_BAD_LINES];
};

/* All zero is empty. Set family, list.shard and list.shards first, exclude, then add. */
struct report_targets {
    struct probe_targets list;
    int family;     /* AF_INET or AF_INET6: addresses of the other one are errors; AF_UNSPEC: of neither */
    uint32_t scope; /* the interface of link-local addresses that name none; 0: they are errors */
    struct probe_range_set excluded;
    struct report_text *texts;
    uint32_t text_count, text_room;
    uint64_t good; /* how many were added, of all shards, excluded or not */
    struct report_bad bad;
};

/*
 * Excludes addresses, prefixes and ranges, separated by commas, or those of a file; an empty list or file
 * excludes nothing. Errors as for adding; names are none of these. Nothing is left out of it: who excludes
 * must not find it probed.
 */
int report_targets_exclude(struct report_targets *targets, const char *list, char *message,
                           size_t size_bytes);
int report_targets_exclude_file(struct report_targets *targets, const char *path, char *message,
                                size_t size_bytes);

/*
 * Adds one address, prefix, range or name. Returns 0, or a negative errno with one line in message: -EINVAL
 * when it is none of them, -ENODEV when the zone of an IPv6 address is no interface here, -E2BIG, -ENOMEM.
 */
int report_targets_add(struct report_targets *targets, const char *text, char *message, size_t size_bytes);

/* The same, but what is no target is noted in `bad`, and no error. */
int report_targets_take(struct report_targets *targets, const char *text, char *message, size_t size_bytes);

/*
 * Takes the targets of a file: separated by white space, `#` starts a comment; `-` is standard input. Returns
 * 0, also for a file without any target, or a negative errno with one line in message.
 */
int report_targets_read(struct report_targets *targets, const char *path, char *message, size_t size_bytes);

/* The text that is kept of a target; NULL: there is none, it is its address. */
const struct report_text *report_targets_text(const struct report_targets *targets, uint32_t index);

void report_targets_clear(struct report_targets *targets);
