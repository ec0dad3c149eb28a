/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A journal in plain words: what each of its lines tells of, a sentence an event.
 *
 * Lines have only what changed, so a story remembers. What is evidence of nothing that a person would call an event
 * (a single lost reply, a quiet hour) is not told.
 */
#pragma once

#include <cjson/cJSON.h>

#include "probe/base.h"

struct story;

struct story *story_new(void); /* NULL: no memory */
struct story *story_free(struct story *story);
DEFINE_CLEANUP(struct story *, story_free)

/* sentence: may hold text of others as it was; not valid for longer than the call. */
typedef void story_say(void *context, const char *sentence);

/*
 * Takes the next line of a journal. 0; or with one line in message, without the file's name:
 *   -EPROTO   it is of another schema, or has more names than any agent writes
 *   -ENOMEM
 */
int story_line(struct story *story, const cJSON *line, story_say *say, void *context, char *message,
               size_t size_bytes);
