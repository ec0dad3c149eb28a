/* SPDX-License-Identifier: Apache-2.0 */
/* The stream of ICMP echoes. */
#pragma once

#include "tools/meter/stream.h"

struct meter_icmp;
int meter_icmp_new(struct meter_icmp **out, const struct meter_settings *settings,
                   const struct meter_stalls *stalls);
struct meter_icmp *meter_icmp_free(struct meter_icmp *icmp);
DEFINE_CLEANUP(struct meter_icmp *, meter_icmp_free)
int meter_icmp_fd(const struct meter_icmp *icmp);
void meter_icmp_tick(struct meter_icmp *icmp, uint64_t now_ns); /* every interval_ns */
void meter_icmp_readable(struct meter_icmp *icmp);
/* Judges what is left and prints an interruption that is not over. */
struct meter_figures *meter_icmp_finish(struct meter_icmp *icmp, uint64_t now_ns);
/* Lost echoes, and replies that came after they had been given up. */
void meter_icmp_losses(const struct meter_icmp *icmp, uint64_t *lost, uint64_t *late);
