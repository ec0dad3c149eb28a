/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The model: what the cluster says of its accesses at one moment.
 */
#pragma once

#include "probe/base.h"

#define SESSION_UUID_SIZE    64
#define SESSION_ZONE_SIZE    64
#define SESSION_ZONE_DEFAULT "default"

/* One entry of the list. */
struct session {
    char uuid[SESSION_UUID_SIZE];
    struct address data; /* either may be empty, not both */
    struct address secondary;
    struct address host_data; /* data address of the host on which the access runs; empty: not said */
    char zone[SESSION_ZONE_SIZE];
    bool has_alive_sec; /* old releases do not say how long */
    uint64_t alive_sec;
};

/* The side that fills it owns it. All zero is the empty list. */
struct session_list {
    struct session *items;
    size_t count;
};

void session_list_clear(struct session_list *list); /* frees; leaves the empty list */
int session_list_copy(struct session_list *copy, const struct session_list *list); /* 0 or -ENOMEM: empty */
static inline void session_list_clear_cleanup(struct session_list *list)
{
    session_list_clear(list);
}

/*
 * Where the fields are in a list, as JSON Pointers (RFC 6901) relative to an entry; NULL: the name that
 * tools/doc/session-service.md gives. Lets other clusters' services fit by configuration.
 */
struct session_fields {
    const char
        *list; /* relative to the document: the array; NULL: "", "/data" and "/data/sessions" are tried */
    const char *uuid;
    const char *data;
    const char *secondary;
    const char *zone;
    const char *host_data;
    const char *alive_sec;
};

/*
 * Parses a body as the session service (or the file provider's file) gives it; pure. Entries without a uuid
 * or without any valid address are left out and counted in *skipped (may be NULL). Numbers as strings are
 * understood. Returns 0; -EBADMSG for what is no list (not JSON, cut off, an HTML page, no array where one
 * should be) and -EREMOTEIO for an error answer ("ec" is there and is not "EOK"), both with one line in
 * message. An empty array is 0 with count 0: the caller decides that it says nothing. *out is empty on
 * failure.
 */
int session_list_parse(const char *body, size_t size_bytes, const struct session_fields *fields,
                       struct session_list *out, size_t *skipped, char *message, size_t message_bytes);

/*
 * Does this body say that a PUT or POST succeeded? 0 when there is no "ec" or it is "EOK" (an empty body
 * included), else as session_list_parse().
 */
int session_answer_check(const char *body, size_t size_bytes, char *message, size_t message_bytes);

/* Writes the list as the service would (array at the top), for the state directory. Returns malloc'ed text or
 * NULL. */
char *session_list_print(const struct session_list *list);
