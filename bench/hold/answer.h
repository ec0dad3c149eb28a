/* SPDX-License-Identifier: Apache-2.0 */
/* What the cells of `bench hold` say about the hold. */
#pragma once

#include "bench/hold/cells.h"

/*
 * In how many histories is one setting worse than another: more needless switches, or more than 1 % more time
 * without service? *first: the first of them.
 */
size_t hold_worse(const struct hold_cells *cells, size_t setting, size_t than, size_t *first);

/*
 * Can the hold be shorter than base_ns? *base: the setting with the longest hold up to that, with the most
 * damping there is; *shortest: the one with the shortest hold and that damping that is no worse, which may be
 * *base itself. Settings ascend by hold.
 */
void hold_shortest(const struct hold_cells *cells, uint64_t base_ns, size_t *base, size_t *shortest);

/* The answer in a sentence. */
void hold_answer(const struct hold_cells *cells, uint64_t base_ns, char *text, size_t size_bytes);
