/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "bench/sweep/cell.h"

/* Draws the picture; times of all cells ascend. 0, or a negative errno with one line in message. */
int sweep_plot(const char *file, const struct sweep_axes *axes, const struct sweep_network *network,
               const struct sweep_cell *cells, char *message, size_t size_bytes);
