/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The studies of `reroute bench`. Each is one file bench/NAME.c with a run() as in tools/command.h: argv[0]
 * is "reroute bench NAME", options are read with tools/options.h.
 */
#pragma once

#include "tools/command.h"

int bench_compare(int argc, char **argv);
int bench_hold(int argc, char **argv);
int bench_sweep(int argc, char **argv);
int bench_tune(int argc, char **argv);
int bench_failover(int argc, char **argv);
