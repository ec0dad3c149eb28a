/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The command line of every subcommand: one table per command, from which the options are read and the help
 * is printed. -h and --help are there without a row.
 *
 * Options may be bundled (-4q), have their value behind a space or '=', be given before or behind operands,
 * and more than once: then the last one counts, unless the row has a function.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "probe/quantity.h"

struct option_row;

/*
 * Takes one value (NULL: of a flag), each time that the option is given. 0, or -EINVAL with a line in message
 * that says what is wrong; see options_bad().
 */
typedef int option_take(const struct option_row *row, const char *value, char *message, size_t size_bytes);

/* What has an argument has one place for it: value, number, time_ns or take. */
struct option_row {
    char letter;          /* -x; 0: none */
    const char *name;     /* --NAME; NULL: none. A row without letter and name ends the table */
    const char *argument; /* what the help calls it; NULL: the option is a flag */
    const char *help;     /* further lines are indented like the first one */
    const char **value;   /* points into argv afterwards */
    bool *flag;           /* true once the option is given; of one with argument too */

    const char *const *choices; /* what the value may be, NULL behind the last one; NULL: anything */
    void *number;               /* of number_bytes, see OPTION_NUMBER() */
    size_t number_bytes;
    uint64_t *time_ns;
    uint64_t least, most; /* of the number or the time; both included */
    option_take *take;
    void *context; /* for take, as key */
    int key;

    const char *without; /* the value when none is given: it may follow a '=' only. NULL: there must be one */
    const char *heading; /* lines of the help before this row */
};

/* An unsigned number of any size from least_ to most_. */
#define OPTION_NUMBER(number_, least_, most_) \
    .number = &(number_), .number_bytes = sizeof(number_), .least = (least_), .most = (most_)

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
    const char *about;                /* the help's first paragraph; ends with a newline */
    const char *operands;             /* such as "[FILE]"; NULL: none */
    int least, most;                  /* how many of them */
    const struct option_row *operand; /* takes each of them in its place between the options, any number */
    const struct option_row *rows;
    const char *after; /* the help's last paragraph; NULL: none */
};

/*
 * Reads argv. The index of the first operand (argc when there is none); 0: help was asked for and is printed,
 * exit with 0; -EINVAL: one line says what is wrong and another one where the help is, exit with EXIT_USAGE.
 */
int options_parse(const struct command_line *line, int argc, char **argv);

/* The same without a word: message says what is wrong, options_help() prints the help. -EINVAL, -ENOMEM. */
int options_read(const struct command_line *line, int argc, char **argv, char *message, size_t size_bytes);

/*
 * Prints the help. A table with two equal names or letters, or a row with no place for its value, is a fault
 * of ours that the compiler does not see: then 0 becomes -EINVAL, which the build asks of every command.
 */
int options_help(const struct command_line *line, const char *program);

/* For option_take: says what is wrong. Returns -EINVAL. */
int options_bad(char *message, size_t size_bytes, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* As people write it: "2h", "30m", "90s", "100ms". */
const char *options_time_text(uint64_t ns, char text[static QUANTITY_TEXT_SIZE]);

/* What was printed must have arrived, or it was not done: 0, or a line that says why and EXIT_SYSTEM. */
int options_written(const char *program);

/* Says what is wrong with the arguments, and where the help is. Returns EXIT_USAGE. */
int options_complain(const char *program, const char *format, ...) __attribute__((format(printf, 2, 3)));
