/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The targets of a report, in the order in which they were given, and what became of each.
 *
 * 24 bytes a target beside its text. The text is not copied: it points into argv, or into the buffer that its
 * file was read into. Reasons are kept apart, since nearly all targets that fail do so for the same few.
 */
#pragma once

#include "probe/probe.h"

enum report_outcome {
    REPORT_UNFINISHED,  /* not known (yet); in a report only when it was interrupted */
    REPORT_REACHABLE,   /* a valid reply in time */
    REPORT_UNREACHABLE, /* none; the reason says more */
    REPORT_NOT_FOUND,   /* a name that has no address */
    REPORT_OUTCOMES,    /* how many there are */
};

/* "unfinished", "reachable", "unreachable", "not-found": part of the schema reroute.report/1. */
const char *report_outcome_text(enum report_outcome outcome);

#define REPORT_NO_INDEX UINT32_MAX

struct report_target {
    const char *text; /* as given */
    union {
        uint64_t rtt_ns; /* REPORT_REACHABLE */
        uint32_t reason; /* REPORT_UNREACHABLE: index into reasons */
        int name_error;  /* REPORT_NOT_FOUND: an EAI_ value of getaddrinfo(), or a positive errno */
    };
    uint32_t sweep_index; /* of its address in the sweep; REPORT_NO_INDEX: a name without one */
    uint32_t outcome : 3; /* enum report_outcome */
    uint32_t requests : 29;
};

struct report_reason {
    enum probe_outcome outcome;
    struct probe_error error;
};

struct report_targets {
    struct report_target *list;
    uint32_t count, room;
    struct report_reason *reasons;
    uint32_t reason_count, reason_room;
    char **buffers; /* the files' texts */
    size_t buffer_count;
};

/*
 * Adds one address or name. The text must outlive the targets. Returns 0, -EINVAL with one line in message
 * when it is neither, -ENODEV likewise when the zone of an IPv6 address is no interface here, or -ENOMEM.
 */
int report_targets_add(struct report_targets *targets, const char *text, char *message, size_t size_bytes);

/*
 * Adds the targets of a file: separated by white space, `#` starts a comment; `-` is standard input. Returns
 * 0 or a negative errno with one line in message ("FILE:LINE: what is wrong"); -EINVAL also for a file
 * without any target.
 */
int report_targets_read(struct report_targets *targets, const char *path, char *message, size_t size_bytes);

/* Notes why a target is unreachable. -ENOMEM. */
int report_targets_unreachable(struct report_targets *targets, uint32_t index, enum probe_outcome outcome,
                               const struct probe_error *error);

void report_targets_clear(struct report_targets *targets);
