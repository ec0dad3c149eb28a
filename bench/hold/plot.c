/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The picture of the hold study: a row for each history with three curves over the hold, a line for each
 * damping: needless switches, minutes away from home, seconds without service.
 */
#include "bench/hold/plot.h"

#include "bench/study/plot.h"
#include "tools/replay_options.h"

static double needless(const struct hold_cell *cell)
{
    return (double)cell->needless;
}

static double away_min(const struct hold_cell *cell)
{
    return (double)cell->away_ns / NS_PER_S / 60;
}

static double unserved_s(const struct hold_cell *cell)
{
    return (double)cell->unserved_ns / NS_PER_S;
}

static const struct {
    const char *title;
    double (*value)(const struct hold_cell *cell);
} figures[] = {{"needless switches", needless},
               {"minutes away from home", away_min},
               {"seconds without service", unserved_s}};

/* How many settings have the first hold: one for each damping. */
static size_t dampings(const struct hold_cells *cells)
{
    size_t count = 1;

    while (count < cells->settings &&
           cells->cells[count].settings.hold_ns == cells->cells[0].settings.hold_ns)
        count++;
    return count;
}

static void draw(FILE *script, const struct hold_cells *cells, size_t history, size_t figure)
{
    size_t lines = dampings(cells);
    char damping[24];

    for (size_t line = 0; line < lines; line++) {
        fprintf(script, "$line%zu << EOD\n", line);
        for (size_t i = line; i < cells->settings; i += lines) {
            const struct hold_cell *cell = hold_cell_at(cells, history, i);

            fprintf(script, "%g %g\n", (double)cell->settings.hold_ns / NS_PER_S,
                    figures[figure].value(cell) / (double)cell->runs);
        }
        fprintf(script, "EOD\n");
    }
    fprintf(script, "set title ");
    plot_quote(script, hold_cell_at(cells, history, 0)->history);
    fprintf(script, " noenhanced\nset ylabel '%s, per run'\nplot ", figures[figure].title);
    for (size_t line = 0; line < lines; line++)
        fprintf(script, "%s$line%zu using 1:2 with linespoints pointtype 7 title 'damping %s'",
                line ? ", " : "", line,
                replay_damping_text(cells->cells[line].settings.damping_max_ns, damping));
    fprintf(script, "\n");
}

int hold_plot(const char *file, const struct hold_cells *cells, char *message, size_t size_bytes)
{
    struct plot plot;
    int r = plot_begin(&plot, file, 1200, (unsigned)(340 * cells->histories + 40));

    if (r < 0) {
        snprintf(message, size_bytes, "%s", strerror(-r));
        return r;
    }
    fprintf(plot.script,
            "set multiplot layout %zu,3 title 'reroute bench hold'\nset xlabel 'hold, s'\nset grid\n"
            "set yrange [0:*]\nset key below\n",
            cells->histories);
    for (size_t h = 0; h < cells->histories; h++)
        for (size_t figure = 0; figure < ARRAY_SIZE(figures); figure++)
            draw(plot.script, cells, h, figure);
    fprintf(plot.script, "unset multiplot\n");
    return plot_end(&plot, message, size_bytes);
}
