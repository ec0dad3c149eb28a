/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The last line of `bench hold`, see hold.c: can the hold be shorter?
 */
#include "bench/hold/answer.h"
#include "tools/replay_options.h"

/* Every row has as many runs as its neighbours, so sums can be compared. */
size_t hold_worse(const struct hold_cells *cells, size_t setting, size_t than, size_t *first)
{
    size_t count = 0;

    for (size_t h = 0; h < cells->histories; h++) {
        const struct hold_cell *a = hold_cell_at(cells, h, setting), *b = hold_cell_at(cells, h, than);

        if (a->needless <= b->needless && a->unserved_ns <= b->unserved_ns + b->unserved_ns / 100)
            continue;
        if (count++ == 0)
            *first = h;
    }
    return count;
}

void hold_shortest(const struct hold_cells *cells, uint64_t base_ns, size_t *base, size_t *shortest)
{
    const struct hold_cell *row = cells->cells;
    size_t first;

    *base = 0;
    for (size_t i = 0; i < cells->settings; i++) {
        const struct hold_settings *s = &row[i].settings, *b = &row[*base].settings;

        if (s->damping_max_ns > b->damping_max_ns ||
            (s->damping_max_ns == b->damping_max_ns && s->hold_ns > b->hold_ns && s->hold_ns <= base_ns))
            *base = i;
    }
    *shortest = *base;
    for (size_t i = 0; i < *base; i++) {
        if (row[i].settings.damping_max_ns == row[*base].settings.damping_max_ns &&
            hold_worse(cells, i, *base, &first) == 0) {
            *shortest = i;
            return;
        }
    }
}

static double away_minutes(const struct hold_cells *cells, size_t setting)
{
    double sum = 0;

    for (size_t h = 0; h < cells->histories; h++)
        sum += hold_per_run(hold_cell_at(cells, h, setting), hold_cell_at(cells, h, setting)->away_ns);
    return sum / (double)cells->histories / NS_PER_S / 60;
}

/* The next shorter hold with the same damping; SIZE_MAX: there is none. */
static size_t next_shorter(const struct hold_cells *cells, size_t base)
{
    for (size_t i = base; i-- > 0;)
        if (cells->cells[i].settings.damping_max_ns == cells->cells[base].settings.damping_max_ns)
            return i;
    return SIZE_MAX;
}

static void answer_no(const struct hold_cells *cells, size_t base, char *text, size_t size_bytes)
{
    size_t shorter = next_shorter(cells, base), worse, h = 0;
    const struct hold_cell *a, *b;
    char hold[24], next[24];

    replay_seconds_text(cells->cells[base].settings.hold_ns, hold);
    if (shorter == SIZE_MAX) {
        snprintf(text, size_bytes, "Can %s be shorter? No shorter hold was tried.", hold);
        return;
    }
    worse = hold_worse(cells, shorter, base, &h);
    a = hold_cell_at(cells, h, shorter);
    b = hold_cell_at(cells, h, base);
    snprintf(
        text, size_bytes,
        "Can %s be shorter? Not without a price: %s is no worse in %zu of %zu histories, but '%s' then has "
        "%.1f needless switches instead of %.1f and %.1f s without service instead of %.1f. It would be "
        "away from home for %.1f min instead of %.1f, the mean of all histories.",
        hold, replay_seconds_text(a->settings.hold_ns, next), cells->histories - worse, cells->histories,
        a->history, hold_per_run(a, a->needless), hold_per_run(b, b->needless),
        hold_per_run(a, a->unserved_ns) / NS_PER_S, hold_per_run(b, b->unserved_ns) / NS_PER_S,
        away_minutes(cells, shorter), away_minutes(cells, base));
}

void hold_answer(const struct hold_cells *cells, uint64_t base_ns, char *text, size_t size_bytes)
{
    size_t base, shortest;
    char hold[24], shorter[24], damping[24];

    if (cells->histories == 0) {
        snprintf(text, size_bytes, "No history was played.");
        return;
    }
    hold_shortest(cells, base_ns, &base, &shortest);
    if (shortest == base) {
        answer_no(cells, base, text, size_bytes);
        return;
    }
    snprintf(text, size_bytes,
             "Can %s be shorter? Yes, down to %s with damping %s: no history has more needless switches or "
             "1 %% more time without service, and the route is away from home for %.1f min on average "
             "instead of %.1f.",
             replay_seconds_text(cells->cells[base].settings.hold_ns, hold),
             replay_seconds_text(cells->cells[shortest].settings.hold_ns, shorter),
             replay_damping_text(cells->cells[base].settings.damping_max_ns, damping),
             away_minutes(cells, shortest), away_minutes(cells, base));
}
