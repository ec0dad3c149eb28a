/* SPDX-License-Identifier: Apache-2.0 */
/* The stream of TCP records. */
#pragma once

#include "tools/meter/stream.h"

struct meter_tcp;
int meter_tcp_new(struct meter_tcp **out, const struct meter_settings *settings,
                  const struct meter_stalls *stalls);
struct meter_tcp *meter_tcp_free(struct meter_tcp *tcp);
DEFINE_CLEANUP(struct meter_tcp *, meter_tcp_free)
int meter_tcp_fd(const struct meter_tcp *tcp);               /* changes with each connection; -1: none */
short meter_tcp_events(const struct meter_tcp *tcp);         /* poll(2) events to wait for */
void meter_tcp_tick(struct meter_tcp *tcp, uint64_t now_ns); /* every tcp_interval_ns */
void meter_tcp_ready(struct meter_tcp *tcp, short events);
struct meter_figures *meter_tcp_finish(struct meter_tcp *tcp, uint64_t now_ns);
unsigned meter_tcp_breaks(const struct meter_tcp *tcp);
