/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "bench/hold/cells.h"

/* Draws the picture. 0, or a negative errno with one line in message. */
int hold_plot(const char *file, const struct hold_cells *cells, char *message, size_t size_bytes);
