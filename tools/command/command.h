/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The subcommands of `reroute`. Each is one file; main() only finds the right one.
 *
 * run() gets argv with argv[0] replaced by "reroute NAME" (for messages) and argc accordingly, parses with
 * tools/options.h (but `report`), and returns the exit code. Bad arguments: one line on standard error, "Try
 * 'reroute NAME --help'.", exit code EXIT_USAGE. main() sees to it that what was printed is written.
 */
#pragma once

/* As fping's. 0: all is done and well. */
enum command_exit {
    EXIT_NOT_ALL = 1,        /* refused; or not all of what was asked for came */
    EXIT_NAME_NOT_FOUND = 2, /* report: something is no target, or a name has no address */
    EXIT_USAGE = 3,          /* bad arguments or configuration */
    EXIT_SYSTEM = 4,         /* the system did not let us */
};

struct command {
    const char *name;
    const char *summary; /* one line for `reroute --help` */
    int (*run)(int argc, char **argv);
};

int command_report(int argc, char **argv);
int command_agent(int argc, char **argv);
int command_status(int argc, char **argv);
int command_pin(int argc, char **argv);
int command_unpin(int argc, char **argv);
int command_drain(int argc, char **argv);
int command_undrain(int argc, char **argv);
int command_failback(int argc, char **argv);
int command_route(int argc, char **argv);
int command_clear(int argc, char **argv);
int command_sessions(int argc, char **argv);
int command_check_config(int argc, char **argv);
int command_bench(int argc, char **argv);
int command_replay(int argc, char **argv);
