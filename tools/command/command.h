/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The subcommands of `reroute` but `report`. Each is one file; main() in reroute.c only finds the right one.
 *
 * run() gets argv with argv[0] replaced by "reroute NAME" (for messages) and argc accordingly, parses with
 * tools/options.h (but `report`), and returns the exit code. Bad arguments: one line on standard error, "Try
 * 'reroute NAME --help'.", exit code EXIT_USAGE. main() sees to it that what was printed is written.
 */
#pragma once

#include "tools/exit_code.h"

struct command {
    const char *name;
    const char *summary; /* one line for `reroute --help` */
    int (*run)(int argc, char **argv);
};

int command_agent(int argc, char **argv);
int command_status(int argc, char **argv);
int command_metrics(int argc, char **argv);
int command_explain(int argc, char **argv);
int command_pin(int argc, char **argv);
int command_unpin(int argc, char **argv);
int command_drain(int argc, char **argv);
int command_undrain(int argc, char **argv);
int command_failback(int argc, char **argv);
int command_route(int argc, char **argv);
int command_clear(int argc, char **argv);
int command_sessions(int argc, char **argv);
int command_check_config(int argc, char **argv);
int command_capabilities(int argc, char **argv);
int command_bench(int argc, char **argv);
int command_deploy(int argc, char **argv);
int command_replay(int argc, char **argv);
int command_journal(int argc, char **argv);
