/* SPDX-License-Identifier: Apache-2.0 */
/* The frontier as a picture: detection time against false failovers a year. */
#include <math.h>

#include "bench/study/plot.h"
#include "bench/tune/tune_study.h"

#define WIDTH         1100
#define HEIGHT        750
#define LEAST_RATE    1e-5 /* where the picture ends: once in 100,000 years */
#define MOST_BOUND_MS 5000.0

static double shown_rate(double per_year)
{
    return fmax(per_year, LEAST_RATE);
}

/* Points that would all lie on the lower edge are left out. */
static bool is_drawn(const struct tune_pair *pair, enum estimate_basis basis)
{
    const struct estimate *estimate = &pair->estimate;

    return estimate->basis == basis && tune_bound_ms(pair) <= MOST_BOUND_MS &&
           (basis == ESTIMATE_NONE || estimate->per_year >= LEAST_RATE);
}

static void write_points(const struct tune_result *result, enum estimate_basis basis, FILE *script)
{
    for (size_t i = 0; i < result->count; i++) {
        const struct tune_pair *pair = &result->pairs[i];

        if (is_drawn(pair, basis))
            fprintf(script, "%g %g\n", tune_bound_ms(pair),
                    shown_rate(basis == ESTIMATE_NONE ? pair->estimate.high : pair->estimate.per_year));
    }
    fputs("e\n", script);
}

/* The frontier with its intervals: detection, rate, from, to. */
static void write_frontier(const struct tune_result *result, FILE *script)
{
    for (size_t i = 0; i < result->count; i++) {
        const struct tune_pair *pair = &result->pairs[i];
        const struct estimate *estimate = &pair->estimate;

        if (pair->frontier && isfinite(estimate->per_year) && tune_bound_ms(pair) <= MOST_BOUND_MS)
            fprintf(script, "%g %g %g %g\n", tune_bound_ms(pair), shown_rate(estimate->per_year),
                    shown_rate(estimate->low), shown_rate(estimate->high));
        if (pair->frontier && estimate->per_year < LEAST_RATE)
            break;
    }
    fputs("e\n", script);
}

/* Beside its point, on the side where the other one is not, if there is room. */
static void label(const struct tune_pair *pair, const struct tune_pair *other, const char *word, double down,
                  FILE *script)
{
    double rate = isfinite(pair->estimate.per_year) ? pair->estimate.per_year : pair->estimate.high;
    double bound_ms = tune_bound_ms(pair);
    bool left =
        bound_ms > MOST_BOUND_MS / 3 || (bound_ms > MOST_BOUND_MS / 30 && bound_ms < tune_bound_ms(other));
    char text[STUDY_SETTING_SIZE + 32], name[STUDY_SETTING_SIZE];

    snprintf(text, sizeof(text), "%s: %s", word, tune_pair_text(pair, name));
    fprintf(script, "set label ");
    plot_quote(script, text);
    fprintf(script, " at %g,%g %s point pt 6 ps 2 lw 2 offset %s,%g noenhanced front\n",
            fmin(bound_ms, MOST_BOUND_MS), isfinite(rate) ? shown_rate(rate) : 1, left ? "right" : "left",
            left ? "-1.5" : "1.5", down);
}

static bool any(const struct tune_result *result, enum estimate_basis basis)
{
    for (size_t i = 0; i < result->count; i++)
        if (is_drawn(&result->pairs[i], basis))
            return true;
    return false;
}

int tune_plot(const struct tune_study *study, const char *file, char *message, size_t size_bytes)
{
    static const struct {
        enum estimate_basis basis;
        const char *title, *style;
    } series[] = {
        {ESTIMATE_MEASURED, "counted", "points pt 7 ps 0.6 lc rgb '#1f77b4'"},
        {ESTIMATE_FITTED, "from a fitted tail", "points pt 6 ps 0.6 lc rgb '#ff7f0e'"},
        {ESTIMATE_NONE, "none seen, fewer than this", "points pt 11 ps 0.6 lc rgb '#7f7f7f'"},
    };
    const struct tune_result *result = &study->result;
    const struct tune_pair *standing = &result->pairs[result->standing];
    const struct tune_pair *recommended = &result->pairs[tune_recommended(result)];
    struct plot plot;
    int r = plot_begin(&plot, file, WIDTH, HEIGHT);

    if (r < 0) {
        snprintf(message, size_bytes, "%s: %s", file, strerror(-r));
        return r;
    }
    fprintf(plot.script,
            "set title 'False failovers against detection time'\n"
            "set xlabel 'from a failure to traffic on the new path, at most (ms)'\n"
            "set ylabel 'false failovers a year'\n"
            "set logscale xy\nset format y '10^{%%L}'\nset grid\nset key top right box opaque\n"
            "set xrange [20:%g]\nset yrange [%g:*]\n",
            MOST_BOUND_MS, LEAST_RATE);
    label(standing, recommended, "as it stands", 1, plot.script);
    if (recommended != standing)
        label(recommended, standing, "recommended", -1, plot.script);
    fprintf(plot.script, "plot %g with lines dt 2 lc rgb '#d62728' title 'accepted'",
            shown_rate(study->options->tune.most_per_year));
    for (size_t i = 0; i < ARRAY_SIZE(series); i++)
        if (any(result, series[i].basis))
            fprintf(plot.script, ", '-' with %s title '%s'", series[i].style, series[i].title);
    fprintf(plot.script, ", '-' using 1:2 with lines lw 2 lc rgb '#2ca02c' title 'frontier: nothing faster "
                         "is better', '-' with "
                         "yerrorbars pt 7 ps 0.3 lc rgb '#2ca02c' title 'its 95 %% intervals'\n");
    for (size_t i = 0; i < ARRAY_SIZE(series); i++)
        if (any(result, series[i].basis))
            write_points(result, series[i].basis, plot.script);
    write_frontier(result, plot.script);
    write_frontier(result, plot.script);
    return plot_end(&plot, message, size_bytes);
}
