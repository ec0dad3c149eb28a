/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A study's table: columns described once, rows filled cell by cell, printed for people, as CSV, or as JSON.
 *
 *     table_new(&table, columns, ARRAY_SIZE(columns));
 *     table_text(table, "fping");        // cell after cell; the row ends with its last column
 *     table_number(table, 4.81);
 *     table_write(table, TABLE_TEXT, stdout);
 *     table_free(table);
 *
 * A table is small (thousands of rows at most) and stays in memory. Without memory the program ends (abort):
 * a study has nothing better to do.
 */
#pragma once

#include <cjson/cJSON.h>

#include "probe/base.h"

struct table_column {
    const char *name;  /* of the CSV column and the JSON member: "wall_ms" */
    const char *title; /* for people: "wall ms"; NULL: the name. Static or outliving */
    int decimals;      /* of a number; -1: the column holds text */
    bool hidden;       /* not in the table for people */
};

struct table;

void table_new(struct table **out, const struct table_column *columns, size_t column_count);
struct table *table_free(struct table *table);
DEFINE_CLEANUP(struct table *, table_free)

/* The next cell. A number is rounded to the column's decimals; NAN is "nothing to say" (people: "-"; CSV: an
 * empty field; JSON: null), as is NULL for a text, which is copied. */
void table_text(struct table *table, const char *text);
void table_number(struct table *table, double number);

size_t table_rows(const struct table *table); /* complete ones */

enum table_format { TABLE_TEXT, TABLE_CSV };

/* Writes header and rows. CSV as RFC 4180 says, but with bare newlines. */
void table_write(const struct table *table, enum table_format format, FILE *out);

/* The rows as an array of objects, one member a column. Owned by the caller. */
cJSON *table_json(const struct table *table);
