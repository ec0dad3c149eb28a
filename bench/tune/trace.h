/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What was seen of a network: every request to every path, when it left and what became of it.
 *
 * In memory a request takes 8 bytes, in a file some 5 (6 paths, 100 requests a second, an hour: 11 MB). The
 * file is text, written as things happen and read line by line:
 *
 *     reroute-trace 1
 *     interval-us 10000
 *     wait-us 5000000
 *     payload-bytes 56
 *     path 10.10.85.15 eth1 scvm1 data
 *     path 10.10.85.16 eth1 scvm2 data
 *     data
 *     0 0 812 790 805 - 799
 *     1 5000 1012 998 f 1003 u3120
 *     end 10
 *
 * `path` gives the address, the interface ("-": by routing) and a name, and counts from 0. A line of data is
 * the number of its path, when its first request left (microseconds since the watch began) and the fates of
 * requests that left one interval after the other: a number is the round trip time in microseconds, "-" no
 * reply within the wait, "f" a send that found no way out, "u" and a number an ICMP error that came after so
 * many microseconds, "x" a request of which this host itself spoiled the evidence: it lost replies in its own
 * buffer, or held up the request. `end` gives the number of requests: a file without it was cut off.
 */
#pragma once

#include "route/tune/request.h"

#define TRACE_PATHS_MAX       64
#define TRACE_NAME_SIZE       80
#define TRACE_INTERVAL_MAX_US UINT64_C(500000) /* well below a gap, DETECT_GAP_US */
#define TRACE_WAIT_MAX_US     UINT64_C(8000000)

struct trace_path {
    char address[ADDRESS_TEXT_SIZE];
    char interface[IFNAMSIZ]; /* empty: whatever the routing said */
    char name[TRACE_NAME_SIZE];
    struct trace_request *requests; /* in the order in which they left */
    size_t count, room;
};

/* All zero is an empty one; trace_clear() frees what it holds and makes it so. */
struct trace {
    uint64_t interval_us; /* between two requests of a path */
    uint64_t wait_us;     /* for how long a reply was waited for */
    uint32_t payload_bytes;
    struct trace_path *paths;
    size_t path_count;
};

void trace_clear(struct trace *trace);
/* Adds a path; interface and name may be NULL. -ENOMEM, -E2BIG. */
int trace_add_path(struct trace *trace, const char *address, const char *interface, const char *name);
/* -ENOMEM */
int trace_add(struct trace_path *path, struct trace_request request);

/*
 * Adds what `more` holds, so that requests to one path are in one row; between what was seen at two times is
 * a gap of TRACE_GAP_US. -EINVAL with one line in message: the interval, the wait or the payload is another
 * one, or it is too much for one trace. -ENOMEM.
 */
#define TRACE_GAP_US UINT64_C(60000000)
int trace_join(struct trace *trace, const struct trace *more, char *message, size_t size_bytes);

/* --- files -----------------------------------------------------------------------------------------------*/

/*
 * Reads a trace, which is empty before. name is for messages. 0; -EINVAL, or what the system said, with one
 * line in message: "NAME:LINE: what is wrong, what was expected". The trace is then empty.
 */
int trace_read(struct trace *trace, FILE *in, const char *name, char *message, size_t size_bytes);
int trace_load(struct trace *trace, const char *file, char *message, size_t size_bytes);

/* Writes one file, of a trace whose paths are known. All zero but `out` and `trace` to begin with. */
#define TRACE_LINE_REQUESTS 64
struct trace_line {
    struct trace_request requests[TRACE_LINE_REQUESTS];
    size_t count;
};
struct trace_writer {
    FILE *out;
    const struct trace *trace;
    struct trace_line lines[TRACE_PATHS_MAX]; /* not yet written */
    uint64_t written;
};

void trace_write_begin(struct trace_writer *writer);
/* Requests of a path come in the order in which they left. */
void trace_write(struct trace_writer *writer, size_t path, struct trace_request request);
/* 0, or a negative errno when anything could not be written. `out` stays open. */
int trace_write_end(struct trace_writer *writer);
