/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The command line of every subcommand but `report` (whose options have a grammar of their own): one table
 * per command, from which the options are read and the help is printed. -h and --help are there without a
 * row.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct option_row {
    char letter;          /* -x; 0: none */
    const char *name;     /* --NAME; NULL ends the table */
    const char *argument; /* what the help calls it; NULL: the option is a flag */
    const char *help;
    const char **value; /* of an option with argument: points into argv afterwards */
    bool *flag;         /* of one without */
};

/* What means the same everywhere. */
#define OPTION_CONFIG(value_)                                                                        \
    {                                                                                                \
        'c', "config", "FILE", "configuration (default: " CONFIG_PATH_DEFAULT ")", .value = (value_) \
    }
#define OPTION_SOCKET(value_)                                                                                \
    {                                                                                                        \
        .name = "socket", .argument = "PATH", .help = "the agent's control socket, not the configuration's", \
        .value = (value_)                                                                                    \
    }
#define OPTION_JSON(flag_, schema)                                                    \
    {                                                                                 \
        .name = "json", .help = "print one document, schema " schema, .flag = (flag_) \
    }

struct command_line {
    const char *about;    /* the help's first paragraph; ends with a newline */
    const char *operands; /* such as "[FILE]"; NULL: none */
    int least, most;      /* how many of them */
    const struct option_row *rows;
    const char *after; /* the help's last paragraph; NULL: none */
};

/*
 * Reads argv. The index of the first operand (argc when there is none); 0: help was asked for and is printed,
 * exit with 0; -EINVAL: one line says what is wrong and another one where the help is, exit with EXIT_USAGE.
 */
int options_parse(const struct command_line *line, int argc, char **argv);

/* What was printed must have arrived, or it was not done: 0, or a line that says why and EXIT_SYSTEM. */
int options_written(const char *program);

/* Says what is wrong with the arguments, and where the help is. Returns EXIT_USAGE. */
int options_complain(const char *program, const char *format, ...) __attribute__((format(printf, 2, 3)));
