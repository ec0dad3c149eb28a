/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The members of a journal's objects, as tables: one table writes a struct as JSON and reads it again, so the
 * two cannot drift. Nanoseconds are text, for a double does not hold all of them; times that are 0 or never
 * are not on any clock and are not shifted.
 */
#pragma once

#include <cjson/cJSON.h>

#include "probe/base.h"

enum field_kind {
    FIELD_BOOL,
    FIELD_COUNT, /* uint32_t */
    FIELD_WORD,  /* uint32_t, an enum with words */
    FIELD_TIME,  /* uint64_t, a point in time: "123", "never" */
    FIELD_REPLY, /* the same, but NEVER_NS is EVIDENCE_NOW: "now" */
    FIELD_U64,   /* uint64_t that is no point in time */
    FIELD_TEXT,  /* char[SESSION_UUID_SIZE] */
};

struct field {
    const char *name; /* NULL ends the table */
    enum field_kind kind;
    size_t offset;
    const char *const *words; /* of FIELD_WORD; NULL-terminated */
    bool soft;                /* a change of it alone is no news, see journal.c */
};

extern const struct field fields_path[];          /* struct path_evidence */
extern const struct field fields_access[];        /* struct journal_access */
extern const struct field fields_host[];          /* struct journal_host */
extern const struct field fields_memory_path[];   /* struct path_memory */
extern const struct field fields_memory_access[]; /* struct access_memory */

/* Do two structs differ in a field that is not soft (or in any)? */
bool fields_differ(const struct field *fields, const void *a, const void *b, bool soft_too);

/*
 * Adds the members in which *now differs from *before (NULL: all). Points in time are written shift_ns later.
 * Returns whether there were any.
 */
bool fields_add(cJSON *object, const struct field *fields, const void *now, const void *before,
                uint64_t shift_ns);

/* Takes over the members that are there and of the right kind; the rest stays as it is. */
void fields_read(const cJSON *object, const struct field *fields, void *out, uint64_t shift_ns);

void fields_add_u64(cJSON *object, const char *name, uint64_t value);
/* 0 when it is not there. */
uint64_t fields_read_u64(const cJSON *object, const char *name);
