/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The live screen of `reroute status --watch`, but for the terminal: what was seen so far, and the lines that show it. Pure.
 */
#pragma once

#include <cjson/cJSON.h>

#include "probe/base.h"

#define WATCH_SAMPLES    64  /* of each path, one each time that a status is taken */
#define WATCH_EVENTS     64  /* kept */
#define WATCH_LINE_BYTES 512 /* of UTF-8 */
#define WATCH_ROWS_MAX   200

struct watch;

struct watch *watch_new(void); /* NULL: no memory */
struct watch *watch_free(struct watch *watch);

/* The next status (owned from here on), and the time as people read it ("12:03:04"). */
void watch_take(struct watch *watch, cJSON *status, const char *time);
/* Nobody answered; the last status stays. */
void watch_miss(struct watch *watch, const char *why, const char *time);

/* Chooses another path: so many further down, or up. */
void watch_choose(struct watch *watch, int by);
/* The access of the chosen path, and whether it is drained; NULL: there is none. */
const char *watch_chosen(const struct watch *watch, bool *drained);

enum watch_style { WATCH_PLAIN, WATCH_BOLD, WATCH_WARNING, WATCH_CHOSEN, WATCH_DIM };

struct watch_line {
    enum watch_style style;
    char text[WATCH_LINE_BYTES]; /* of `columns` at most, as far as each character has one */
};

/* A screen; the last line is `prompt`. */
struct watch_frame {
    int rows;
    struct watch_line lines[WATCH_ROWS_MAX];
};

/* blocks: whether the terminal knows U+2581 to U+2588. */
void watch_draw(const struct watch *watch, int columns, int rows, bool blocks, const char *prompt,
                struct watch_frame *frame);
