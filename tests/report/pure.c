/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Proves the pure pieces of `reroute report`, table by table: times and numbers on the command line, options
 * and their errors, what is a target and what is not, files of targets with the line of a mistake,
 * percentiles, numbers and quoting in JSON and CSV, and that a writer keeps its first error.
 */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <sys/mman.h>

#include "probe/quantity.h"
#include "probe/statistics.h"
#include "tools/report/options.h"
#include "tools/report/output.h"
#include "tools/report/targets.h"
#include "tools/report/writer.h"

Test(report, durations)
{
    static const struct {
        const char *text;
        int error;
        uint64_t ns;
    } rows[] = {
        {"1", 0, NS_PER_S},
        {"0.1", 0, 100 * NS_PER_MS},
        {".5", 0, 500 * NS_PER_MS},
        {"2.", 0, 2 * NS_PER_S},
        {"0", 0, 0},
        {"100ms", 0, 100 * NS_PER_MS},
        {"1.5ms", 0, 1500 * NS_PER_US},
        {"50us", 0, 50 * NS_PER_US},
        {"3s", 0, 3 * NS_PER_S},
        {"1.5m", 0, 90 * NS_PER_S},
        {"0.123456789", 0, 123456789},
        {"0.1234567899", 0, 123456789},
        {"3600", 0, 3600 * NS_PER_S},
        {"3600.1", -ERANGE, 0},
        {"61m", -ERANGE, 0},
        {"99999999999999999999999", -ERANGE, 0},
        {"", -EINVAL, 0},
        {".", -EINVAL, 0},
        {"ms", -EINVAL, 0},
        {"-1", -EINVAL, 0},
        {"+1", -EINVAL, 0},
        {" 1", -EINVAL, 0},
        {"1 s", -EINVAL, 0},
        {"1e3", -EINVAL, 0},
        {"0x10", -EINVAL, 0},
        {"1,5", -EINVAL, 0},
        {"1.2.3", -EINVAL, 0},
        {"inf", -EINVAL, 0},
        {"1h", 0, 3600 * NS_PER_S},
        {"1.0001h", -ERANGE, 0},
        {"0.25h", 0, 900 * NS_PER_S},
        {"90s", 0, 90 * NS_PER_S},
        {"007", 0, 7 * NS_PER_S},
        {"0.9us", 0, 900},
        {"0.3333333333333333", 0, 333333333},
        {"0.000000000001h", 0, 3},
        {"18446744073709551615h", -ERANGE, 0},
        {"1d", -EINVAL, 0},
        {"1H", -EINVAL, 0},
    };

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        uint64_t ns = 0;
        int error = quantity_time_argument(rows[i].text, 0, 3600 * NS_PER_S, &ns);

        cr_expect_eq(error, rows[i].error, "'%s': %d", rows[i].text, error);
        if (!error)
            cr_expect_eq(ns, rows[i].ns, "'%s': %" PRIu64, rows[i].text, ns);
    }
}

Test(report, numbers)
{
    static const struct {
        const char *text;
        int error;
        uint64_t number;
    } rows[] = {
        {"1", 0, 1},          {"255", 0, 255},     {"0xff", 0, 255},
        {"010", 0, 10}, /* not octal */
        {"0", -ERANGE, 0},    {"256", -ERANGE, 0}, {"18446744073709551617", -ERANGE, 0},
        {"", -EINVAL, 0},     {"-1", -EINVAL, 0},  {" 1", -EINVAL, 0},
        {"1.0", -EINVAL, 0},  {"1x", -EINVAL, 0},  {"0x", -EINVAL, 0},
        {"0x-1", -EINVAL, 0},
    };

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        uint64_t number = 0;
        int error = quantity_number(rows[i].text, 1, 255, &number);

        cr_expect_eq(error, rows[i].error, "'%s': %d", rows[i].text, error);
        if (!error)
            cr_expect_eq(number, rows[i].number, "'%s': %" PRIu64, rows[i].text, number);
    }
}

#define MAX_ARGUMENTS 12

/* Returns what parsing said; the options are the caller's to clear. */
static int parse(struct report_options *options, const char *const *arguments, char *message, size_t size)
{
    char *argv[MAX_ARGUMENTS + 2] = {(char[]){"reroute report"}};
    int argc = 1;

    for (; argc <= MAX_ARGUMENTS && arguments[argc - 1]; argc++)
        argv[argc] = (char *)(uintptr_t)arguments[argc - 1];
    return report_options_parse(options, argc, argv, message, size);
}

Test(report, options_are_taken)
{
    static const char *const arguments[] = {
        "first",       "--select-timeout=0.1", "-f",         "list", "--select-count", "10", "-4",
        "--size=1400", "--dont-fragment",      "--tos=0xb8", "--",   "--last",         NULL,
    };
    struct report_options options;
    char message[256] = "";

    cr_assert_eq(parse(&options, arguments, message, sizeof(message)), 0, "%s", message);
    cr_expect_eq(options.settings.select_timeout_ns, 100 * NS_PER_MS);
    cr_expect_eq(options.settings.select_count, 10);
    cr_expect_eq(options.settings.payload_bytes, 1400);
    cr_expect(options.settings.dont_fragment);
    cr_expect_eq(options.settings.tos, 0xb8);
    cr_expect_eq(options.family, AF_INET);
    cr_expect_eq(options.format, REPORT_TABLE);
    cr_assert_eq(options.source_count, 3);
    cr_expect_str_eq(options.sources[0].text, "first");
    cr_expect_str_eq(options.sources[1].text, "list");
    cr_expect_eq(options.sources[0].kind, REPORT_TARGET);
    cr_expect_eq(options.sources[1].kind, REPORT_FILE);
    cr_expect_eq(options.sources[2].kind, REPORT_TARGET);
    cr_expect_not(options.in_order);
    cr_expect(options.settings.retry_doubtful);
    cr_expect_eq(options.settings.rate, 0);
    cr_expect_eq(options.workers, 0);
    cr_expect_str_eq(options.sources[2].text, "--last");
    report_options_clear(&options);
}

Test(report, options_for_many_targets)
{
    static const char *const arguments[] = {
        "10.0.0.0/8",    "--exclude",           "10.1.0.0/16", "--exclude-file", "-",  "--shard=2/5",
        "--order=given", "--no-retry-doubtful", "--rate=5000", "--workers=3",    NULL,
    };
    struct report_options options;
    char message[256] = "";

    cr_assert_eq(parse(&options, arguments, message, sizeof(message)), 0, "%s", message);
    cr_assert_eq(options.source_count, 3);
    cr_expect_eq(options.sources[1].kind, REPORT_EXCLUDE);
    cr_expect_eq(options.sources[2].kind, REPORT_EXCLUDE_FILE);
    cr_expect_eq(options.shard, 1);
    cr_expect_eq(options.shards, 5);
    cr_expect(options.in_order);
    cr_expect_not(options.settings.retry_doubtful);
    cr_expect_eq(options.settings.rate, 5000);
    cr_expect_eq(options.workers, 3);
    report_options_clear(&options);
}

/* Each says which option, what was given, what was expected. */
Test(report, options_that_are_wrong)
{
    static const struct {
        const char *arguments[MAX_ARGUMENTS];
        const char *message;
    } rows[] = {
        {{NULL}, "no target given"},
        {{"--json", NULL}, "no target given"},
        {{"--bogus", "a", NULL}, "unknown or ambiguous option '--bogus'"},
        {{"--s", "a", NULL}, "unknown or ambiguous option '--s'"},
        {{"-x", "a", NULL}, "unknown option '-x'"},
        {{"--json=yes", "a", NULL}, "option '--json=yes' takes no value"},
        {{"--quiet=1", "a", NULL}, "option '--quiet=1' takes no value"},
        {{"--help=1", NULL}, "option '--help=1' takes no value"},
        {{"-4-", "a", NULL}, "unknown option '--'"},
        {{"a", "--size", NULL}, "option '--size' needs a value"},
        {{"a", "-f", NULL}, "option '-f' needs a value"},
        {{"a", "--select-timeout", "0", NULL}, "--select-timeout '0': expected a time"},
        {{"a", "--select-timeout", "0.5ms", NULL}, "--select-timeout '0.5ms': expected a time"},
        {{"a", "--watch", "5", NULL}, "--watch takes its time behind '=', as in --watch=5"},
        {{"--watch", "1s", "a", NULL}, "--watch takes its time behind '=', as in --watch=1s"},
        {{"a", "--ping-timeout", "soon", NULL}, "--ping-timeout 'soon': expected a time"},
        {{"a", "--select-count", "0", NULL}, "--select-count '0': expected a number from 1 to"},
        {{"a", "--select-count", "-3", NULL}, "--select-count '-3': expected a number"},
        {{"a", "--size", "23", NULL}, "--size '23': expected a number from 24 to 65507"},
        {{"a", "--size", "65508", NULL}, "--size '65508': expected a number from 24 to 65507"},
        {{"a", "--size", "1k", NULL}, "--size '1k': expected a number"},
        {{"a", "--tos", "256", NULL}, "--tos '256': expected a number from 0 to 255"},
        {{"a", "--ttl", "0", NULL}, "--ttl '0': expected a number from 1 to 255"},
        {{"a", "--mark", "0x100000000", NULL},
         "--mark '0x100000000': expected a number from 0 to 4294967295"},
        {{"a", "--workers", "0", NULL}, "--workers '0': expected a number from 1"},
        {{"a", "--transport", "tcp", NULL}, "--transport 'tcp': expected auto, epoll, io_uring or poll"},
        {{"a", "--transport", "simulated", NULL}, "--transport 'simulated': expected"},
        {{"a", "--source", "host", NULL}, "--source 'host': expected an address"},
        {{"a", "--source", "fe80::1%none0", NULL}, "--source 'fe80::1%none0': there is no such interface"},
        {{"a", "--source", "::1", "--source", "::2", NULL}, "--source '::2': there is one for IPv6 already"},
        {{"a", "--interface", "none0", NULL}, "--interface 'none0': there is no such interface"},
        {{"a", "-4", "-6", NULL}, "-4 and -6 exclude each other"},
        {{"a", "--json", "--csv", NULL}, "--json, --json-lines, --csv and --openmetrics exclude"},
        {{"a", "--json", "--json-lines", NULL}, "--json, --json-lines, --csv and --openmetrics exclude"},
        {{"a", "--openmetrics", "--csv", NULL}, "--json, --json-lines, --csv and --openmetrics exclude"},
        {{"a", "--json-lines", "--output", "b", NULL}, "--output is for what is written at the end"},
        {{"a", "--json", "-q", NULL}, "--quiet goes with the table only"},
        {{"-f", "-", "-f", "-", NULL}, "standard input ('-') can be read only once"},
        {{"-f", "-", "--exclude-file", "-", NULL}, "standard input ('-') can be read only once"},
        {{"--exclude", "10.0.0.1", NULL}, "no target given"},
        {{"a", "--rate", "0", NULL}, "--rate '0': expected a number from 1 to 10000000"},
        {{"a", "--shard", "6/5", NULL}, "--shard '6/5': expected M/N"},
        {{"a", "--shard", "0/5", NULL}, "--shard '0/5': expected M/N"},
        {{"a", "--shard", "1", NULL}, "--shard '1': expected M/N"},
        {{"a", "--shard", "1/0", NULL}, "--shard '1/0': expected M/N"},
        {{"a", "--shard", "/", NULL}, "--shard '/': expected M/N"},
        {{"a", "--order", "any", NULL}, "--order 'any': expected random or given"},
    };

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct report_options options;
        char message[256] = "";
        int error = parse(&options, rows[i].arguments, message, sizeof(message));

        cr_expect_eq(error, -EINVAL, "row %zu: %d", i, error);
        cr_expect_eq(strncmp(message, rows[i].message, strlen(rows[i].message)), 0, "row %zu: '%s'", i,
                     message);
        report_options_clear(&options);
    }
}

Test(report, targets)
{
    static const char long_label[] =
        "a123456789012345678901234567890123456789012345678901234567890123.example";
    static const struct {
        const char *text;
        int error;
    } rows[] = {
        {"10.0.0.1", 0},
        {"::1", 0},
        {"fd00::1", 0},
        {"fe80::1%lo", 0},
        {"localhost", 0},
        {"storage-1.example.org", 0},
        {"storage_1.example.org.", 0},
        {"3com.example", 0},
        {"1.2.3.x4", 0},
        {"10.0.0.256", -EINVAL}, /* not a name that somebody might own */
        {"10.0.0", -EINVAL},     /* nor the 10.0.0.0 that inet_aton() makes of it */
        {"10", -EINVAL},
        {"010.0.0.1", -EINVAL},
        {"10.0.0.1.", -EINVAL},
        {"10.0.0.0/33", -EINVAL},
        {"host/24", -EINVAL},
        {"10.0.0.0/7", -E2BIG},
        {"10.0.0.2-10.0.0.1", -EINVAL},
        {"10.0.0.1-254", -EINVAL}, /* nor a name */
        {"0x0a010001", -EINVAL},   /* nor a name, whatever inet_aton() says */
        {"host.0x1f", -EINVAL},
        {"0x.example", 0},
        {"0xg", 0},
        {"::ffff:10.1.0.1", -EINVAL},
        {"::ffff:0:0/96", -EINVAL},
        {"::/97", -EINVAL},
        {"0.0.0.0", -EINVAL},
        {"::", -EINVAL},
        {"255.255.255.255", -EINVAL},
        {"224.0.0.1", -EINVAL},
        {"223.255.255.250-224.0.0.3", -EINVAL},
        {"239.255.255.255", -EINVAL},
        {"240.0.0.1", 0},
        {"223.255.255.255", 0},
        {"ff02::1%lo", -EINVAL},
        {"10.0.0.1:80", -EINVAL},
        {"fd00:::1", -EINVAL},
        {"fe80::1%none0", -ENODEV},
        {"fe80::1", -EINVAL}, /* through which interface? */
        {"", -EINVAL},
        {".", -EINVAL},
        {"a..b", -EINVAL},
        {"-a.example", -EINVAL},
        {"a b", -EINVAL},
        {"a,b", -EINVAL},
        {"caf\xc3\xa9.example", -EINVAL},
        {long_label, -EINVAL},
    };

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct report_targets targets = {0};
        char message[256] = "";
        int error = report_targets_add(&targets, rows[i].text, message, sizeof(message));

        cr_expect_eq(error, rows[i].error, "'%s': %d %s", rows[i].text, error, message);
        cr_expect_eq(targets.list.count, error ? 0 : 1);
        if (error)
            cr_expect(message[0] != '\0', "'%s' fails without a word", rows[i].text);
        report_targets_clear(&targets);
    }
}

/* Reads `size` bytes of text as a file. */
static int read_text(struct report_targets *targets, const char *text, size_t size, char *message,
                     size_t message_size)
{
    char path[64];
    int fd = memfd_create("targets", MFD_CLOEXEC);
    int error;

    cr_assert(fd >= 0 && write(fd, text, size) == (ssize_t)size);
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    error = report_targets_read(targets, path, message, message_size);
    close(fd);
    return error;
}

Test(report, files_that_are_read)
{
    static const struct {
        const char *text;
        const char *words[5];
    } rows[] = {
        {"10.0.0.1\n10.0.0.2\n", {"10.0.0.1", "10.0.0.2"}},
        {"10.0.0.1", {"10.0.0.1"}},
        {"\n\n 10.0.0.1\t10.0.0.2  a \n", {"10.0.0.1", "10.0.0.2", "a"}},
        {"# all of them\n10.0.0.1 # the first\n#10.0.0.2\n10.0.0.3#third\n10.0.0.4",
         {"10.0.0.1", "10.0.0.3", "10.0.0.4"}},
        {"10.0.0.1\r\n10.0.0.2\r\n", {"10.0.0.1", "10.0.0.2"}},
        {"\xef\xbb\xbf"
         "10.0.0.1\n",
         {"10.0.0.1"}},
        {"a a ::1 a", {"a", "a", "::1", "a"}},
    };

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct report_targets targets = {0};
        char message[256] = "";
        int error = read_text(&targets, rows[i].text, strlen(rows[i].text), message, sizeof(message));
        uint32_t count = 0, texts = 0;

        cr_expect_eq(error, 0, "row %zu: %s", i, message);
        for (; count < ARRAY_SIZE(rows[i].words) && rows[i].words[count]; count++) {
            struct address address = {0};

            if (count < targets.list.count)
                address = probe_targets_at(&targets.list, count);
            if (address_is_set(&address))
                cr_expect_str_eq(ADDRESS_TEXT(&address), rows[i].words[count]);
            else if (texts < targets.text_count)
                cr_expect_str_eq(targets.texts[texts++].text, rows[i].words[count]);
        }
        cr_expect_eq(targets.list.count, count, "row %zu: %u", i, targets.list.count);
        cr_expect_eq(targets.text_count, texts, "row %zu: only names keep their text", i);
        report_targets_clear(&targets);
    }
}

Test(report, files_that_are_wrong)
{
#define TEXT(t) t, sizeof(t) - 1
    static const struct {
        const char *text;
        size_t size;
        const char *message; /* after the file's name */
    } rows[] = {
        {TEXT("10.0.0.1\n\n10.0.0.2 10.0.0.300\n"), ":3: '10.0.0.300' is neither an address nor a name"},
        {TEXT("# 1\n#\n10.0.0.1 # b\nno/good"), ":4: 'no/good' is neither an address nor a name"},
        {TEXT("10.0.0.1#x\n!"), ":2: '!' is neither"},
        {TEXT("10.0.0.1\n\x1b[31m\n"), ":2: '\\x1b[31m' is neither"},
        {TEXT("b\xc3\xbc"
              "cher"),
         ":1: 'b\xc3\xbc"
         "cher': a name beyond ASCII"},
        {TEXT("b\xfc"
              "cher"),
         ":1: 'b\\xfc"
         "cher' is neither"},
        {TEXT("0x0a010001"), ":1: '0x0a010001': an IPv4 address has four decimal numbers"},
        {TEXT("010.0.0.1"), ":1: '010.0.0.1': an IPv4 address has four decimal numbers"},
        {TEXT("10.1"), ":1: '10.1': an IPv4 address has four decimal numbers"},
        {TEXT("10.1.0.1-10"),
         ":1: '10.1.0.1-10': a range has an address at both ends, such as 10.1.0.1-10.1.0.10"},
        {TEXT("10.1.0.0/255.255.240.0"),
         ":1: '10.1.0.0/255.255.240.0': expected a prefix length from 0 to 32 after "
         "the '/', and 255.255.240.0 is /20"},
        {TEXT("10.1.0.0/0.0.0.255"),
         ":1: '10.1.0.0/0.0.0.255': expected a prefix length from 0 to 32 after the '/'"},
        {TEXT("::ffff:10.1.0.1"),
         ":1: '::ffff:10.1.0.1': it is an IPv4 address written as an IPv6 one: expected IPv4, "
         "as in 10.1.0.1"},
        {TEXT("224.0.0.5"), ":1: '224.0.0.5': 224.0.0.5 is a multicast address, no host's"},
        {TEXT("10.0.0.0/40"), ":1: '10.0.0.0/40': expected a prefix length from 0 to 32"},
        {TEXT("10.0.0.0/7"), ":1: '10.0.0.0/7': too many: at most 16777216 addresses"},
        {TEXT("fe80::1%none0"), ":1: 'fe80::1%none0': there is no such interface"},
        {TEXT("/1234567890123456789012345678901234567890123456789012345678901234567890"),
         ":1: '/12345678901234567890123456789012345678901234567890123456...' is neither"},
    };

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct report_targets targets = {0};
        char message[256] = "";
        int error = read_text(&targets, rows[i].text, rows[i].size, message, sizeof(message));
        const char *line = targets.bad.lines[0] ? targets.bad.lines[0] : "", *after;

        cr_expect_eq(error, 0, "row %zu: %d", i, error);
        cr_expect_eq(targets.bad.count, 1);
        after = line + strcspn(line, ":");
        cr_expect_eq(strncmp(after, rows[i].message, strlen(rows[i].message)), 0, "row %zu: '%s'", i, line);
        report_targets_clear(&targets);
    }
}

/* What is no target costs itself only: the first twenty are told, all are counted. */
Test(report, files_with_bad_lines)
{
    struct report_targets targets = {.list = {.shard = 0, .shards = 2}};
    char text[4096] = "", message[256];
    size_t size = 0;

    for (int i = 0; i < 25; i++)
        size += (size_t)snprintf(text + size, sizeof(text) - size, "10.0.0.%d !%d\n", i, i);
    cr_assert_eq(read_text(&targets, text, size, message, sizeof(message)), 0);
    cr_expect_eq(targets.list.count, 13);
    cr_expect_eq(targets.good, 25);
    cr_expect_eq(targets.bad.count, 25);
    cr_expect(targets.bad.lines[19] && strstr(targets.bad.lines[19], ":20: '!19' is neither"));
    report_targets_clear(&targets);
    cr_expect_eq(read_text(&targets, "\n# nothing\n", 11, message, sizeof(message)), 0);
    cr_expect_eq(targets.good + targets.bad.count, 0);
    cr_expect_eq(read_text(&targets, "10.0.0.1\0\n", 10, message, sizeof(message)), -EINVAL);
    cr_expect(strstr(message, ": not a text file"), "%s", message);
    report_targets_clear(&targets);
}

/* A pipe gives what is there: the byte order mark of an editor may come byte by byte. */
Test(report, a_byte_order_mark_in_pieces)
{
    static const char text[] = "\xef\xbb\xbf"
                               "10.0.0.1\n";
    struct report_targets targets = {0};
    char message[256] = "";
    int ends[2], error;

    cr_assert_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
    for (size_t i = 0; i < sizeof(text) - 1; i++)
        cr_assert_eq(write(ends[1], text + i, 1), 1);
    close(ends[1]);
    cr_assert_eq(dup2(ends[0], STDIN_FILENO), STDIN_FILENO);
    error = report_targets_read(&targets, "-", message, sizeof(message));
    cr_expect_eq(error, 0, "%s", message);
    cr_expect_eq(targets.bad.count, 0, "%s", targets.bad.lines[0]);
    cr_expect_eq(targets.list.count, 1);
    close(ends[0]);
    report_targets_clear(&targets);
}

/* A file is read in pieces: words across their seams are whole, and one of any length is an error. */
Test(report, long_files)
{
    static char text[400000], word[70000];
    struct report_targets targets = {0};
    char message[256] = "";
    size_t size = 0;
    uint32_t count = 0;

    for (; size < sizeof(text) - 32; count++)
        size += (size_t)snprintf(text + size, 32, "10.%u.%u.%u%s", count >> 16, count >> 8 & 255, count & 255,
                                 count % 7 ? " " : "\r\n");
    cr_assert_eq(read_text(&targets, text, size, message, sizeof(message)), 0, "%s", message);
    cr_assert_eq(targets.list.count, count);
    for (uint32_t i = 0; i < count; i++) {
        struct address a = probe_targets_at(&targets.list, i);

        cr_assert_eq((uint32_t)a.bytes[1] << 16 | (uint32_t)a.bytes[2] << 8 | a.bytes[3], i);
    }
    report_targets_clear(&targets);
    memset(word, 'a', sizeof(word));
    cr_expect_eq(read_text(&targets, word, sizeof(word), message, sizeof(message)), 0);
    cr_expect_eq(targets.bad.count, 1);
    report_targets_clear(&targets);
}

/* Excluded ones take no place; what an address looked like when it was given is kept where it matters. */
Test(report, excludes_and_texts)
{
    static const char *const lists[] = {"host", "10.0.0.1,", "10.0.0.1,10.0.0.0/99"};
    struct report_targets targets = {0};
    char message[256] = "";

    cr_assert_eq(report_targets_exclude(&targets, "10.0.0.0,10.0.0.4-10.0.0.6,fd00::/64", message, 256), 0);
    for (size_t i = 0; i < 2; i++) {
        cr_assert_eq(report_targets_add(&targets, "10.0.0.0/29", message, 256), 0, "%s", message);
        cr_assert_eq(report_targets_add(&targets, "fd00::5", message, 256), 0);
        cr_assert_eq(report_targets_add(&targets, "FD01:0::5", message, 256), 0);
        cr_assert_eq(report_targets_add(&targets, "a.example", message, 256), 0);
        cr_assert_eq(report_targets_add(&targets, "10.0.0.5", message, 256), 0);
    }
    cr_assert_eq(targets.list.count, 12);
    cr_assert_eq(targets.text_count, 4);
    cr_expect_str_eq(targets.texts[2].text, "FD01:0::5");
    cr_expect_eq(targets.texts[2].index, 10);
    cr_expect_eq(targets.texts[3].index, 11);
    cr_expect(targets.texts[3].is_name && !targets.texts[2].is_name);
    for (size_t i = 0; i < ARRAY_SIZE(lists); i++)
        cr_expect_eq(report_targets_exclude(&targets, lists[i], message, 256), -EINVAL);
    cr_expect_eq(report_targets_exclude(&targets, "", message, 256), 0, "an empty list excludes nothing");
    cr_expect_eq(report_targets_exclude(&targets, "224.0.0.0/4,::/0,0.0.0.0/0", message, 256), 0);
    cr_expect_eq(report_targets_exclude(&targets, lists[2], message, 256), -EINVAL);
    cr_expect_eq(strncmp(message, "'10.0.0.0/99': expected a prefix length", 39), 0, "%s", message);
    report_targets_clear(&targets);
}

Test(report, percentiles)
{
    uint64_t hundred[100], ten[10], one[] = {7};
    const struct {
        const uint64_t *sorted;
        size_t count;
        unsigned percent;
        uint64_t value;
    } rows[] = {
        {hundred, 100, 0, 1},   {hundred, 100, 1, 1},     {hundred, 100, 50, 50}, {hundred, 100, 95, 95},
        {hundred, 100, 99, 99}, {hundred, 100, 100, 100}, {ten, 10, 50, 5},       {ten, 10, 51, 6},
        {ten, 10, 95, 10},      {ten, 10, 99, 10},        {one, 1, 0, 7},         {one, 1, 50, 7},
        {one, 1, 100, 7},
    };

    for (size_t i = 0; i < 100; i++)
        hundred[i] = i + 1;
    memcpy(ten, hundred, sizeof(ten));
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
        cr_expect_eq(statistics_percentile(rows[i].sorted, rows[i].count, rows[i].percent), rows[i].value,
                     "row %zu", i);
}

/* What the writer has in its buffer, as text. */
static const char *written(struct report_writer *writer)
{
    writer->buffer[writer->used_bytes] = '\0';
    writer->used_bytes = 0;
    return writer->buffer;
}

Test(report, quoting)
{
    static const struct {
        const char *text, *json, *csv, *label;
    } rows[] = {
        {"", "\"\"", "", ""},
        {"10.0.0.1", "\"10.0.0.1\"", "10.0.0.1", "10.0.0.1"},
        {"a \"b\"", "\"a \\\"b\\\"\"", "\"a \"\"b\"\"\"", "a \\\"b\\\""},
        {"a\\b", "\"a\\\\b\"", "a\\b", "a\\\\b"},
        {"host unreachable, says 10.0.0.1", "\"host unreachable, says 10.0.0.1\"",
         "\"host unreachable, says 10.0.0.1\"", "host unreachable, says 10.0.0.1"},
        {"a\nb\rc", "\"a\\u000ab\\u000dc\"", "a\\x0ab\\x0dc", "a\\\\x0ab\\\\x0dc"},
        {"\x01\x7f", "\"\\u0001\\u007f\"", "\\x01\\x7f", "\\\\x01\\\\x7f"},
        {"\xff", "\"\\ufffd\"", "\\xff", "\\\\xff"},
        {"b\xc3\xbc"
         "cher,",
         "\"b\xc3\xbc"
         "cher,\"",
         "\"b\xc3\xbc"
         "cher,\"",
         "b\xc3\xbc"
         "cher,"},
        {"\xe2\x80\xae\"", "\"\\u202e\\\"\"", "\"\\xe2\\x80\\xae\"\"\"", "\\\\xe2\\\\x80\\\\xae\\\""},
        {"\"", "\"\\\"\"", "\"\"\"\"", "\\\""},
    };
    static struct report_writer writer;

    report_writer_init(&writer, -1);
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        report_write_json_string(&writer, rows[i].text);
        cr_expect_str_eq(written(&writer), rows[i].json);
        report_write_csv_field(&writer, rows[i].text);
        cr_expect_str_eq(written(&writer), rows[i].csv);
        report_write_label_value(&writer, rows[i].text);
        cr_expect_str_eq(written(&writer), rows[i].label);
    }
}

Test(report, seconds)
{
    static const struct {
        uint64_t ns;
        const char *text;
    } rows[] = {
        {0, "0.000000000"},
        {1, "0.000000001"},
        {1234567, "0.001234567"},
        {NS_PER_S, "1.000000000"},
        {UINT64_MAX, "18446744073.709551615"},
    };
    static struct report_writer writer;

    report_writer_init(&writer, -1);
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        report_write_seconds(&writer, rows[i].ns);
        cr_expect_str_eq(written(&writer), rows[i].text);
    }
}

Test(report, milliseconds)
{
    static const struct {
        uint64_t ns;
        const char *text;
    } rows[] = {
        {0, "0.000"},
        {499, "0.000"},
        {500, "0.001"},
        {1234567, "1.235"},
        {999999, "1.000"},
        {NS_PER_S, "1000.000"},
        {86400 * NS_PER_S + 7000, "86400000.007"},
        {UINT64_MAX, "18446744073709.552"},
    };
    static struct report_writer writer;

    report_writer_init(&writer, -1);
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        report_write_ms(&writer, rows[i].ns);
        cr_expect_str_eq(written(&writer), rows[i].text);
    }
}

/* More than a buffer arrives whole and in order; the first error stays. */
Test(report, writer)
{
    static struct report_writer writer;
    static char text[100001], back[100001];
    int fd = memfd_create("report", MFD_CLOEXEC), full = open("/dev/full", O_WRONLY | O_CLOEXEC);

    for (size_t i = 0; i < sizeof(text) - 1; i++)
        text[i] = (char)('a' + i % 23);
    report_writer_init(&writer, fd);
    report_write_text(&writer, text);
    cr_expect_eq(report_writer_flush(&writer), 0);
    cr_assert_eq(pread(fd, back, sizeof(back), 0), (ssize_t)sizeof(text) - 1);
    cr_expect_eq(memcmp(text, back, sizeof(text)), 0);
    report_writer_init(&writer, full);
    report_write_text(&writer, text);
    writer.fd = fd;
    report_write_text(&writer, text);
    cr_expect_eq(report_writer_flush(&writer), -ENOSPC);
    close(fd);
    close(full);
}
