/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pictures, drawn by gnuplot.
 *
 *     plot_check(file, message, sizeof(message));       // before the study: the file's name, gnuplot, the
 * folder plot_begin(&plot, file, 1100, 800); fprintf(plot.script, "set title 'Time'\nplot '-' with
 * lines\n..."); plot_end(&plot, message, sizeof(message));        // draws; the file is there as a whole or
 * not at all
 *
 * Titles, units and a legend are the caller's: a picture must be understood without its table. In text that
 * is not our own use "noenhanced", or _ and ^ become marks of type.
 */
#pragma once

#include "probe/base.h"

struct plot {
    FILE *script; /* gnuplot commands go here; `set terminal` and `set output` have been seen to */
    const char *file;
    char *text;
    size_t size_bytes;
};

/*
 * Can this file be drawn? 0; -EINVAL: its name ends neither in .svg nor in .png, or it is no file; -ENOENT:
 * gnuplot is not installed; or why it cannot be written. One line in message.
 */
int plot_check(const char *file, char *message, size_t size_bytes);

/* `file` must outlive the plot. -ENOMEM. */
int plot_begin(struct plot *plot, const char *file, unsigned width, unsigned height);

/* Draws and forgets the plot. 0, or a negative errno with one line in message; a file that was there before
 * is then still there. */
int plot_end(struct plot *plot, char *message, size_t size_bytes);

/* Writes text, from anywhere, as one gnuplot string in single quotes: nothing in it can end the string. */
void plot_quote(FILE *script, const char *text);
