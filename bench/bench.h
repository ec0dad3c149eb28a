/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The studies of `reroute bench`. Each is one file bench/NAME.c with a run() as in tools/command/command.h: argv[0]
 * is "reroute bench NAME", options are read with tools/options.h.
 */
#pragma once

#include "tools/exit_code.h"
#include "tools/options.h"

/* The options by which every study says what it found. */
#define BENCH_JSON(flag_, study) OPTION_JSON(flag_, "reroute.bench-" study "/1")
#define BENCH_CSV(flag_)                                                          \
    {                                                                             \
        .name = "csv", .help = "print the rows, comma-separated", .flag = (flag_) \
    }
#define BENCH_PLOT(value_)                                                                       \
    {                                                                                            \
        .name = "plot", .argument = "FILE", .help = "draw FILE.svg or FILE.png (needs gnuplot)", \
        .value = (value_)                                                                        \
    }

/* Can it be said so? plot is NULL when no picture is asked for. 0, or the exit code when not and that has
 * been said. */
int bench_check_output(const char *program, bool json, bool csv, const char *plot);

int bench_compare(int argc, char **argv);
int bench_hold(int argc, char **argv);
int bench_sweep(int argc, char **argv);
int bench_tune(int argc, char **argv);
int bench_failover(int argc, char **argv);
