/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/options.h"

#include <errno.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "probe/quantity.h"
#include "probe/text.h"
#include "tools/exit_code.h"

#define LONG_FIRST 256 /* getopt_long() answers this plus the row: no letter is that large */

#define NAME_BYTES     40
#define NAME_WIDTH_MIN 15

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

int options_bad(char *message, size_t size_bytes, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(message, size_bytes, format, arguments);
    va_end(arguments);
    return -EINVAL;
}

static bool is_row(const struct option_row *row)
{
    return row->letter || row->name;
}

/* --- the help ------------------------------------------------------------------------------------------ */

/* "--config FILE", "--watch[=TIME]"; empty: the option has a letter only. Returns its length. */
static int name_text(const struct option_row *row, char *text, size_t size_bytes)
{
    const char *argument = row->argument ? row->argument : "";

    text[0] = '\0';
    if (!row->name)
        return 0;
    if (row->without)
        return snprintf(text, size_bytes, "--%s[=%s]", row->name, argument);
    return snprintf(text, size_bytes, "--%s%s%s", row->name, row->argument ? " " : "", argument);
}

static void print_row(const struct option_row *row, int width)
{
    char letter[8] = "    ", name[NAME_BYTES];

    if (row->letter)
        snprintf(letter, sizeof(letter), "-%c%s", row->letter, row->name ? ", " : "  ");
    name_text(row, name, sizeof(name));
    printf("  %s%-*s ", letter, width, name);
    for (const char *line = row->help;; printf("%*s", 2 + 4 + width + 1, "")) {
        size_t length = strcspn(line, "\n");

        printf("%.*s\n", (int)length, line);
        if (!line[length])
            break;
        line += length + 1;
    }
}

static int name_width(const struct option_row *rows)
{
    char name[NAME_BYTES];
    int width = NAME_WIDTH_MIN;

    for (; is_row(rows); rows++)
        if (name_text(rows, name, sizeof(name)) > width)
            width = name_text(rows, name, sizeof(name));
    return width;
}

/* What is wrong with a row that stands before these others; NULL: nothing. */
static const char *row_fault(const struct option_row *row)
{
    bool has_place = row->value || row->number || row->time_ns || row->take;

    if (row->letter == 'h' || (row->name && strcmp(row->name, "help") == 0))
        return "is that of the help";
    if (row->argument ? !has_place || !row->name : !row->flag && !row->take)
        return "goes nowhere";
    for (const struct option_row *other = row + 1; is_row(other); other++)
        if ((row->letter && row->letter == other->letter) ||
            (row->name && other->name && strcmp(row->name, other->name) == 0))
            return "is there twice";
    return NULL;
}

static int check_rows(const struct option_row *rows, const char *program)
{
    for (; is_row(rows); rows++) {
        const char *fault = row_fault(rows);

        if (!fault)
            continue;
        text_error("%s: fault in the table of options: -%c, --%s %s", program,
                   rows->letter ? rows->letter : '-', rows->name ? rows->name : "-", fault);
        return -EINVAL;
    }
    return 0;
}

int options_help(const struct command_line *line, const char *program)
{
    int width = name_width(line->rows);

    printf("Usage: %s [OPTION...]%s%s\n%s\n", program, line->operands ? " " : "",
           line->operands ? line->operands : "", line->about);
    for (const struct option_row *row = line->rows; is_row(row); row++) {
        if (row->heading)
            printf("%s%s\n", row == line->rows ? "" : "\n", row->heading);
        print_row(row, width);
    }
    print_row(&(struct option_row){'h', "help", .help = "this text"}, width);
    if (line->after)
        printf("\n%s", line->after);
    return check_rows(line->rows, program);
}

/* --- values -------------------------------------------------------------------------------------------- */

const char *options_time_text(uint64_t ns, char text[static QUANTITY_TEXT_SIZE])
{
    static const uint64_t minute_ns = 60 * NS_PER_S, hour_ns = 3600 * NS_PER_S;

    if (ns == 0 || ns % minute_ns != 0)
        return quantity_time_text(ns, text);
    if (ns % hour_ns != 0)
        snprintf(text, QUANTITY_TEXT_SIZE, "%" PRIu64 "m", ns / minute_ns);
    else
        snprintf(text, QUANTITY_TEXT_SIZE, "%" PRIu64 "h", ns / hour_ns);
    return text;
}

static int take_time(const struct option_row *row, const char *value, char *message, size_t size_bytes)
{
    char least[QUANTITY_TEXT_SIZE], most[QUANTITY_TEXT_SIZE];

    if (quantity_time_argument(value, row->least, row->most, row->time_ns) == 0)
        return 0;
    return options_bad(
        message, size_bytes,
        "--%s '%s': expected a time from %s to %s, such as %s (units: us, ms, s, m, h; without one: s)",
        row->name, value, options_time_text(row->least, least), options_time_text(row->most, most),
        row->least < NS_PER_S ? "100ms" : "90s");
}

static int take_number(const struct option_row *row, const char *value, char *message, size_t size_bytes)
{
    uint64_t number;

    if (quantity_number(value, row->least, row->most, &number) < 0)
        return options_bad(message, size_bytes, "--%s '%s': expected a number from %" PRIu64 " to %" PRIu64,
                           row->name, value, row->least, row->most);
    switch (row->number_bytes) {
    case sizeof(uint8_t):
        *(uint8_t *)row->number = (uint8_t)number;
        break;
    case sizeof(uint16_t):
        *(uint16_t *)row->number = (uint16_t)number;
        break;
    case sizeof(uint32_t):
        *(uint32_t *)row->number = (uint32_t)number;
        break;
    default:
        *(uint64_t *)row->number = number;
    }
    return 0;
}

/* "--order 'any': expected random or given" */
static int complain_choice(const struct option_row *row, const char *value, char *message, size_t size_bytes)
{
    char list[128] = "";

    for (const char *const *choice = row->choices; *choice; choice++) {
        size_t length = strlen(list);
        const char *before = choice == row->choices ? "" : choice[1] ? ", " : " or ";

        snprintf(list + length, sizeof(list) - length, "%s%s", before, *choice);
    }
    return options_bad(message, size_bytes, "--%s '%s': expected %s", row->name, value, list);
}

static int take_text(const struct option_row *row, const char *value, char *message, size_t size_bytes)
{
    const char *const *choice = row->choices;

    while (choice && *choice && strcmp(value, *choice) != 0)
        choice++;
    if (choice && !*choice)
        return complain_choice(row, value, message, size_bytes);
    *row->value = value;
    return 0;
}

static int take(const struct option_row *row, const char *value, char *message, size_t size_bytes)
{
    if (row->argument && !value)
        value = row->without;
    if (row->flag)
        *row->flag = true;
    if (row->take)
        return row->take(row, value, message, size_bytes);
    if (row->time_ns)
        return take_time(row, value, message, size_bytes);
    if (row->number)
        return take_number(row, value, message, size_bytes);
    return row->value ? take_text(row, value, message, size_bytes) : 0;
}

/* --- reading ------------------------------------------------------------------------------------------- */

/* The table of `count` rows as getopt_long() wants it. */
static void prepare(const struct command_line *line, int count, struct option *options, char *letters)
{
    static const int arguments[] = {no_argument, required_argument, optional_argument};

    if (line->operand)
        *letters++ = '-'; /* operands come in their order, as option 1 */
    *letters++ = ':';     /* a missing value is told apart */
    *letters++ = 'h';
    for (int i = 0; i < count; i++) {
        const struct option_row *row = &line->rows[i];
        int kind = !row->argument ? 0 : row->without ? 2 : 1;

        if (row->name)
            *options++ = (struct option){row->name, arguments[kind], NULL, LONG_FIRST + i};
        if (row->letter)
            *letters++ = row->letter;
        for (int colon = 0; row->letter && colon < kind; colon++)
            *letters++ = ':';
    }
    *letters = '\0';
    *options = (struct option){"help", no_argument, NULL, 'h'};
}

/* What getopt_long() refused. */
static int complain_option(char **argv, int option, char *message, size_t size_bytes)
{
    if (option == ':')
        return options_bad(message, size_bytes, "option '%s' needs a value", argv[optind - 1]);
    if (optopt > 0 && optopt < LONG_FIRST && optopt != 'h')
        return options_bad(message, size_bytes, "unknown option '-%c'", optopt);
    return options_bad(message, size_bytes,
                       optopt ? "option '%s' takes no value" : "unknown or ambiguous option '%s'",
                       argv[optind - 1]);
}

/* The time of an option that needs none may have been meant, but that has to be behind a '='. */
static int take_operand(const struct command_line *line, const char *before, const char *text, char *message,
                        size_t size_bytes)
{
    for (const struct option_row *row = line->rows; is_row(row); row++) {
        char name[NAME_BYTES];

        if (!row->time_ns || !row->without || !row->name)
            continue;
        snprintf(name, sizeof(name), "--%s", row->name);
        if (strcmp(before, name) == 0 && quantity_time_argument(text, 0, NEVER_NS, &(uint64_t){0}) == 0)
            return options_bad(message, size_bytes, "%s takes its time behind '=', as in %s=%s", name, name,
                               text);
    }
    return take(line->operand, text, message, size_bytes);
}

static int take_option(const struct command_line *line, int option, char *message, size_t size_bytes)
{
    const struct option_row *row = line->rows;

    if (option >= LONG_FIRST)
        row += option - LONG_FIRST;
    else
        while (row->letter != option)
            row++;
    return take(row, optarg, message, size_bytes);
}

/* Reads the options with what prepare() made: as options_read(). */
static int read_options(const struct command_line *line, int argc, char **argv, const struct option *options,
                        const char *letters, char *message, size_t size_bytes)
{
    int option, r = 0;

    optind = opterr = 0; /* from a clean state; what is wrong we say ourselves */
    while (r == 0 && (option = getopt_long(argc, argv, letters, options, NULL)) != -1) {
        if (option == 'h')
            return 0;
        if (option == '?' || option == ':')
            r = complain_option(argv, option, message, size_bytes);
        else if (option == 1)
            r = take_operand(line, optind > 1 ? argv[optind - 2] : "", optarg, message, size_bytes);
        else
            r = take_option(line, option, message, size_bytes);
    }
    /* Behind "--". */
    while (r == 0 && line->operand && optind < argc)
        r = take(line->operand, argv[optind++], message, size_bytes);
    return r < 0 ? r : optind;
}

static int check_operands(const struct command_line *line, int argc, char **argv, char *message,
                          size_t size_bytes)
{
    if (line->operand)
        return 0;
    if (argc - optind > line->most)
        return options_bad(message, size_bytes, "'%s' is one operand too many, expected %s",
                           argv[optind + line->most], line->operands ? line->operands : "none");
    if (argc - optind < line->least)
        return options_bad(message, size_bytes, "expected %s", line->operands);
    return 0;
}

int options_read(const struct command_line *line, int argc, char **argv, char *message, size_t size_bytes)
{
    struct option *options;
    char *letters;
    int count = 0, at = -ENOMEM;

    while (is_row(&line->rows[count]))
        count++;
    options = calloc((size_t)count + 2, sizeof(*options));
    letters = calloc((size_t)count + 2, 3);
    if (options && letters) {
        prepare(line, count, options, letters);
        at = read_options(line, argc, argv, options, letters, message, size_bytes);
    } else {
        options_bad(message, size_bytes, "%s", strerror(ENOMEM));
    }
    free(options);
    free(letters);
    if (at > 0 && check_operands(line, argc, argv, message, size_bytes) < 0)
        at = -EINVAL;
    return at;
}

int options_parse(const struct command_line *line, int argc, char **argv)
{
    char message[TEXT_SIZE];
    int at = options_read(line, argc, argv, message, sizeof(message));

    if (at == 0)
        return options_help(line, argv[0]);
    if (at > 0)
        return at;
    options_complain(argv[0], "%s", message);
    return -EINVAL;
}

int options_written(const char *program)
{
    if (fflush(stdout) == 0 && !ferror(stdout))
        return 0;
    fprintf(stderr, "%s: cannot write: %s\n", program, strerror(errno));
    return EXIT_SYSTEM;
}
