/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The picture of a sweep: a row for each profile with
 *
 *   - a heat map of the median time, settings against addresses,
 *   - one of the false unreachables, in per cent of the live addresses,
 *   - curves of the median time over the addresses, one for each transport and number of workers, with the
 *     fastest and the slowest round as bars.
 *
 * The heat maps are of the first transport and number of workers, the curves of the first setting; the titles
 * say so. A cell that was never measured is left blank.
 */
#include "bench/sweep/plot.h"

#include <stdarg.h>

#include "bench/study/plot.h"
#include "probe/statistics.h"

#define COLUMN_WIDTH 460
#define ROW_HEIGHT   400

struct picture {
    FILE *script;
    const struct sweep_axes *axes;
    const struct sweep_network *network;
    const struct sweep_cell *cells;
};

static const struct sweep_cell *cell_of(const struct picture *picture, size_t profile, size_t transport,
                                        size_t workers, size_t setting, size_t addresses)
{
    return &picture->cells[sweep_cell_index(picture->axes, profile, transport, workers, setting, addresses)];
}

static double median_ms(const struct sweep_cell *cell)
{
    return (double)statistics_percentile(cell->wall_ns, cell->rounds, 50) / 1e6;
}

static double false_percent(const struct sweep_cell *cell)
{
    double asked = (double)(cell->addresses - cell->dead) * (double)cell->rounds;

    return asked > 0 ? 100 * (double)cell->false_sum / asked : 0;
}

/* A title in which a profile's own words stand. */
PRINTF_LIKE(2, 3) static void set_title(const struct picture *picture, const char *format, ...)
{
    char text[512];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    fprintf(picture->script, "set title ");
    plot_quote(picture->script, text);
    fprintf(picture->script, " noenhanced\n");
}

static const char *plural(uint32_t workers)
{
    return workers == 1 ? "worker" : "workers";
}

/* Ticks of a heat map: settings to the right, addresses upwards. */
static void set_map_axes(const struct picture *picture)
{
    char text[STUDY_SETTING_SIZE];

    fprintf(picture->script, "set xlabel 'select-timeout (s) x select-count'\nset xtics scale 0 (");
    for (size_t s = 0; s < picture->axes->setting_count; s++)
        fprintf(picture->script, "%s'%s' %zu", s ? ", " : "",
                study_setting_text(&picture->axes->settings[s], text), s);
    fprintf(picture->script, ")\nset ylabel 'addresses'\nset ytics scale 0 (");
    for (size_t a = 0; a < picture->axes->address_count; a++)
        fprintf(picture->script, "%s'%" PRIu32 "' %zu", a ? ", " : "", picture->axes->addresses[a], a);
    fprintf(picture->script, ")\nset xrange [-0.5:%g]\nset yrange [-0.5:%g]\nunset key\nunset grid\n",
            (double)picture->axes->setting_count - 0.5, (double)picture->axes->address_count - 0.5);
}

/* Three digits where they matter. */
static const char *short_number(double value, char *text, size_t size_bytes)
{
    snprintf(text, size_bytes, "%.*f", value == 0 || value >= 100 ? 0 : value >= 10 ? 1 : 2, value);
    return text;
}

/* Coloured squares with their figure in them. */
static void draw_map(const struct picture *picture, size_t profile,
                     double (*value)(const struct sweep_cell *), const char *unit)
{
    char text[32];
    size_t drawn = 0;

    fprintf(picture->script, "$map << EOD\n");
    for (size_t s = 0; s < picture->axes->setting_count; s++) {
        for (size_t a = 0; a < picture->axes->address_count; a++) {
            const struct sweep_cell *cell = cell_of(picture, profile, 0, 0, s, a);

            if (cell->rounds == 0)
                continue;
            fprintf(picture->script, "%zu %zu %.6g \"%s%s\"\n", s, a, value(cell),
                    short_number(value(cell), text, sizeof(text)), unit);
            drawn++;
        }
    }
    if (drawn == 0)
        fprintf(picture->script, "0 0 NaN \"\"\n");
    fprintf(picture->script, "EOD\nplot $map using 1:2:(0.48):(0.48):3 with boxxyerror fillcolor palette "
                             "fillstyle solid noborder, "
                             "$map using 1:2:4 with labels\n");
}

static void draw_maps(const struct picture *picture, size_t profile)
{
    const struct sweep_cell *first = cell_of(picture, profile, 0, 0, 0, 0);
    const char *text = picture->network->profiles[profile].text;

    set_map_axes(picture);
    fprintf(
        picture->script,
        "set palette defined (0 '#fff7d6', 0.5 '#7fcdbb', 1 '#2c7fb8')\nset logscale cb\nset cbrange [*:*]\n"
        "set cblabel 'median time of a sweep, ms'\n");
    set_title(picture, "%s: time, %s, %" PRIu32 " %s", text, first->transport, first->workers,
              plural(first->workers));
    draw_map(picture, profile, median_ms, "");
    fprintf(
        picture->script,
        "set palette defined (0 '#e8f5e9', 0.001 '#fff3b0', 0.2 '#fdae61', 1 '#d7191c')\nunset logscale cb\n"
        "set cbrange [0:10]\nset cblabel 'live addresses called unreachable, %%'\n");
    set_title(picture, "%s: false unreachables, %s, %" PRIu32 " %s", text, first->transport, first->workers,
              plural(first->workers));
    draw_map(picture, profile, false_percent, " %");
}

static void write_curve(const struct picture *picture, size_t profile, size_t transport, size_t workers)
{
    size_t drawn = 0;

    fprintf(picture->script, "$curve%zu_%zu << EOD\n", transport, workers);
    for (size_t a = 0; a < picture->axes->address_count; a++) {
        const struct sweep_cell *cell = cell_of(picture, profile, transport, workers, 0, a);

        if (cell->rounds == 0)
            continue;
        fprintf(picture->script, "%" PRIu32 " %.6g %.6g %.6g\n", cell->addresses, median_ms(cell),
                (double)cell->wall_ns[0] / 1e6, (double)cell->wall_ns[cell->rounds - 1] / 1e6);
        drawn++;
    }
    if (drawn == 0)
        fprintf(picture->script, "1 NaN NaN NaN\n");
    fprintf(picture->script, "EOD\n");
}

static void draw_curves(const struct picture *picture, size_t profile)
{
    const struct sweep_axes *axes = picture->axes;
    char setting[STUDY_SETTING_SIZE];

    for (size_t t = 0; t < axes->transport_count; t++)
        for (size_t w = 0; w < axes->worker_count; w++)
            write_curve(picture, profile, t, w);
    set_title(picture, "%s: time over addresses, setting %s", picture->network->profiles[profile].text,
              study_setting_text(&axes->settings[0], setting));
    fprintf(picture->script,
            "set xlabel 'addresses'\nset xtics auto scale 1\nset xrange [*:*]\n"
            "set ylabel 'median time of a sweep, ms'\nset ytics auto scale 1\nset yrange [*:*]\n"
            "set grid\nset logscale xy\n"
            "set key noenhanced top left title 'bars: fastest and slowest round' left\nplot ");
    for (size_t t = 0; t < axes->transport_count; t++)
        for (size_t w = 0; w < axes->worker_count; w++)
            fprintf(picture->script,
                    "%s$curve%zu_%zu using 1:2:3:4 with yerrorlines pointtype 7 title '%s, %" PRIu32 " %s'",
                    t + w ? ", " : "", t, w, axes->transports[t], axes->workers[w], plural(axes->workers[w]));
    fprintf(picture->script, "\nunset logscale xy\n");
}

int sweep_plot(const char *file, const struct sweep_axes *axes, const struct sweep_network *network,
               const struct sweep_cell *cells, char *message, size_t size_bytes)
{
    struct plot plot;
    int r = plot_begin(&plot, file, 3 * COLUMN_WIDTH, (unsigned)(ROW_HEIGHT * network->count + 40));
    char host[160], title[200];
    struct picture picture = {plot.script, axes, network, cells};

    if (r < 0) {
        snprintf(message, size_bytes, "%s", strerror(-r));
        return r;
    }
    fprintf(plot.script, "set multiplot layout %zu,3 title ", network->count);
    snprintf(title, sizeof(title), "reroute bench sweep: %s", study_host(host, sizeof(host)));
    plot_quote(plot.script, title);
    fprintf(plot.script, " noenhanced\n");
    for (size_t p = 0; p < network->count; p++) {
        draw_maps(&picture, p);
        draw_curves(&picture, p);
    }
    fprintf(plot.script, "unset multiplot\n");
    return plot_end(&plot, message, size_bytes);
}
