/* SPDX-License-Identifier: Apache-2.0 */
/* The table of `bench hold`: a cell for each history and setting. */
#pragma once

#include "bench/hold/world.h"

/* One history with one setting: sums over its runs. */
struct hold_cell {
    const char *history;
    struct hold_settings settings;
    uint64_t runs, switches, needless, away_ns, unserved_ns, watched_ns;
};

/* The mean of one of the sums. */
static inline double hold_per_run(const struct hold_cell *cell, uint64_t sum)
{
    return (double)sum / (double)cell->runs;
}

/* A row of settings for each history that was played; all rows have the same settings. */
struct hold_cells {
    struct hold_cell *cells;
    size_t histories, settings;
};

static inline const struct hold_cell *hold_cell_at(const struct hold_cells *cells, size_t history,
                                                   size_t setting)
{
    return &cells->cells[history * cells->settings + setting];
}
