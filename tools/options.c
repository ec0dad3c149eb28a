/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/options.h"

#include <errno.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "probe/text.h"
#include "tools/exit_code.h"

#define LONG_FIRST 256 /* getopt_long() answers this plus the row: no letter is that large */

int options_complain(const char *program, const char *format, ...)
{
    char message[TEXT_SIZE];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(message, sizeof(message), format, arguments);
    va_end(arguments);
    text_error("%s: %s", program, message);
    text_error("Try '%s --help'.", program);
    return EXIT_USAGE;
}

static void print_row(const struct option_row *row)
{
    char letter[8] = "    ", name[32];

    if (row->letter)
        snprintf(letter, sizeof(letter), "-%c, ", row->letter);
    snprintf(name, sizeof(name), "--%s%s%s", row->name, row->argument ? " " : "",
             row->argument ? row->argument : "");
    printf("  %s%-15s %s\n", letter, name, row->help);
}

static void print_help(const struct command_line *line, const char *program)
{
    printf("Usage: %s [OPTION...]%s%s\n%s\n", program, line->operands ? " " : "",
           line->operands ? line->operands : "", line->about);
    for (const struct option_row *row = line->rows; row->name; row++)
        print_row(row);
    print_row(&(struct option_row){'h', "help", NULL, "this text", NULL, NULL});
    if (line->after)
        printf("\n%s", line->after);
}

/* The table of `count` rows as getopt_long() wants it. */
static void prepare(const struct option_row *rows, int count, struct option *options, char *letters)
{
    *letters++ = ':'; /* a missing value is told apart */
    *letters++ = 'h';
    for (int i = 0; i < count; i++) {
        const struct option_row *row = &rows[i];

        options[i] =
            (struct option){row->name, row->argument ? required_argument : no_argument, NULL, LONG_FIRST + i};
        if (row->letter)
            *letters++ = row->letter;
        if (row->letter && row->argument)
            *letters++ = ':';
    }
    *letters = '\0';
    options[count] = (struct option){"help", no_argument, NULL, 'h'};
}

static void take(const struct option_row *rows, int count, int option)
{
    for (int i = 0; i < count; i++) {
        if (option != LONG_FIRST + i && option != rows[i].letter)
            continue;
        if (rows[i].argument)
            *rows[i].value = optarg;
        else
            *rows[i].flag = true;
        return;
    }
}

/* What getopt_long() refused. */
static void complain_option(char **argv, int option)
{
    if (option == ':')
        options_complain(argv[0], "option '%s' needs a value", argv[optind - 1]);
    else if (optopt > 0 && optopt < LONG_FIRST && optopt != 'h')
        options_complain(argv[0], "unknown option '-%c'", optopt);
    else
        options_complain(argv[0], optopt ? "option '%s' takes no value" : "unknown or ambiguous option '%s'",
                         argv[optind - 1]);
}

/* Reads the options with what prepare() made: as options_parse(), but for the operands. */
static int read_options(const struct command_line *line, int argc, char **argv, int count,
                        const struct option *options, const char *letters)
{
    int option;

    optind = opterr = 0; /* from a clean state; what is wrong we say ourselves */
    while ((option = getopt_long(argc, argv, letters, options, NULL)) != -1) {
        if (option == 'h') {
            print_help(line, argv[0]);
            return 0;
        }
        if (option == '?' || option == ':') {
            complain_option(argv, option);
            return -EINVAL;
        }
        take(line->rows, count, option);
    }
    return optind;
}

int options_parse(const struct command_line *line, int argc, char **argv)
{
    struct option *options;
    char *letters;
    int count = 0, at = -EINVAL;

    while (line->rows[count].name)
        count++;
    options = calloc((size_t)count + 2, sizeof(*options));
    letters = calloc((size_t)count + 2, 2);
    if (options && letters) {
        prepare(line->rows, count, options, letters);
        at = read_options(line, argc, argv, count, options, letters);
    } else {
        options_complain(argv[0], "%s", strerror(ENOMEM));
    }
    free(options);
    free(letters);
    if (at <= 0)
        return at;
    if (argc - optind > line->most) {
        options_complain(argv[0], "'%s' is one operand too many, expected %s", argv[optind + line->most],
                         line->operands ? line->operands : "none");
        return -EINVAL;
    }
    if (argc - optind < line->least) {
        options_complain(argv[0], "expected %s", line->operands);
        return -EINVAL;
    }
    return optind;
}

int options_written(const char *program)
{
    if (fflush(stdout) == 0 && !ferror(stdout))
        return 0;
    fprintf(stderr, "%s: cannot write: %s\n", program, strerror(errno));
    return EXIT_SYSTEM;
}
