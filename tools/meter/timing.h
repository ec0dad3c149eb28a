/* SPDX-License-Identifier: Apache-2.0 */
/* What the meters' loops have in common: ticks, the signals that end them, and how long they were held up. */
#pragma once

#include "tools/meter/stream.h"

/* A descriptor that becomes readable every interval_ns; a negative errno. */
int meter_timer_new(uint64_t interval_ns);
/* How often the timer has gone off since the last call; 0 when it has not. */
uint64_t meter_ticks(int timer);
/* Blocks SIGTERM and SIGINT. A descriptor that becomes readable when one of them comes; a negative errno. */
int meter_signals_new(void);
/* Counts ticks that went by unseen. */
void meter_note_stall(struct meter_stalls *stalls, uint64_t missed_ns);
void meter_print_stalls(const struct meter_stalls *stalls);
/* A meter that waits for the processor measures the processor. */
void meter_go_first(void);
/* From 0.01 ms to a minute; -EINVAL. */
int meter_parse_ms(const char *text, uint64_t *out_ns);
int meter_parse_port(const char *text, uint16_t *out);
