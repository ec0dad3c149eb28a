/* SPDX-License-Identifier: Apache-2.0 */
/* A directory for the journal of one test: what reads journals and what writes them need the same. */
#pragma once

/* Of this test: its directory, and in it the journal and the older file. */
extern char journal_directory[], journal_path[64], journal_older[80];

/* For .init and .fini of a test. */
void journal_place_begin(void);
void journal_place_end(void);

/* Makes the file have this text. */
void journal_place_put(const char *file, const char *text);
