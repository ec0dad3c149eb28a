/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/report/options.h"

#include "probe/path_mtu.h"
#include "probe/quantity.h"
#include "tools/options.h"
#include "tools/report/target_text.h"

#define TIME_MIN_NS     NS_PER_MS
#define TIME_MAX_NS     (3600 * NS_PER_S)
#define NAME_TIMEOUT_NS (10 * NS_PER_S)
#define COUNT_MAX       1000000
#define WORKERS_MAX     256
#define SHARDS_MAX      65536
#define RATE_MAX        10000000

/* --- what is more than a number, a time or a word ------------------------------------------------------ */

static int take_source(const struct option_row *row, const char *value, char *message, size_t size_bytes)
{
    struct report_options *options = row->context;
    struct address address, *slot;
    int error = address_parse(&address, value);
    const char *no_host = error ? NULL : report_no_host(&address);

    if (error)
        return options_bad(message, size_bytes, "--source '%s': %s", value,
                           error == -ENODEV ? "there is no such interface on this host"
                                            : "expected an address");
    if (no_host)
        return options_bad(message, size_bytes, "--source '%s': it is %s, no host's", value, no_host);
    slot = address.family == AF_INET ? &options->settings.source4 : &options->settings.source6;
    if (address_is_set(slot))
        return options_bad(message, size_bytes, "--source '%s': there is one for %s already", value,
                           address.family == AF_INET ? "IPv4" : "IPv6");
    *slot = address;
    return 0;
}

static int take_interface(const struct option_row *row, const char *value, char *message, size_t size_bytes)
{
    struct probe_settings *settings = row->context;

    if (if_nametoindex(value) == 0)
        return options_bad(message, size_bytes, "--interface '%s': there is no such interface on this host",
                           value);
    snprintf(settings->interface, sizeof(settings->interface), "%s", value);
    return 0;
}

static int take_family(const struct option_row *row, const char *value, char *message, size_t size_bytes)
{
    int *family = row->context;

    if (*family != AF_UNSPEC && *family != row->key)
        return options_bad(message, size_bytes, "-4 and -6 exclude each other");
    *family = row->key;
    return 0;
}

static int take_format(const struct option_row *row, const char *value, char *message, size_t size_bytes)
{
    enum report_format *format = row->context;

    if (*format != REPORT_TABLE && (int)*format != row->key)
        return options_bad(message, size_bytes,
                           "--json, --json-lines, --csv and --openmetrics exclude each other");
    *format = (enum report_format)row->key;
    return 0;
}

/* "2/5" */
static int take_shard(const struct option_row *row, const char *value, char *message, size_t size_bytes)
{
    struct report_options *options = row->context;
    const char *slash = strchr(value, '/');
    char first[16] = "";
    uint64_t shard, shards;

    if (slash)
        snprintf(first, sizeof(first), "%.*s", (int)(slash - value), value);
    if (!slash || quantity_number(slash + 1, 1, SHARDS_MAX, &shards) < 0 ||
        quantity_number(first, 1, shards, &shard) < 0)
        return options_bad(message, size_bytes,
                           "--shard '%s': expected M/N, such as 2/5, with N up to %d and M from 1 to N",
                           value, SHARDS_MAX);
    options->shard = (uint32_t)shard - 1;
    options->shards = (uint32_t)shards;
    return 0;
}

/* Targets, in the order in which they are given. */
static int take_targets(const struct option_row *row, const char *value, char *message, size_t size_bytes)
{
    struct report_options *options = row->context;

    options->sources[options->source_count++] =
        (struct report_source){value, (enum report_source_kind)row->key};
    return 0;
}

/* --- what several options say together ----------------------------------------------------------------- */

/* Each kind of report has options that mean nothing in the others. */
static int check_kind(struct report_options *options, char *message, size_t size_bytes)
{
    const struct probe_settings *settings = &options->settings;
    bool is_mtu = options->mtu_bytes || options->path_mtu;

    if ((options->rounds.count > 0) + (options->mtu_bytes > 0) + options->path_mtu > 1)
        return options_bad(message, size_bytes, "--count, --mtu and --path-mtu exclude each other");
    if (options->rounds.period_ns && !options->rounds.count)
        return options_bad(message, size_bytes, "--period goes with --count only");
    if (!options->rounds.count && !is_mtu)
        return 0;
    if (settings->ping_timeout_ns || settings->single_request || options->workers || options->watch_ns)
        return options_bad(message, size_bytes,
                           "--ping-timeout, --single-request, --workers and --watch do not go with %s",
                           options->rounds.count ? "--count" : "--mtu or --path-mtu");
    if (is_mtu && (options->has_size || settings->dont_fragment))
        return options_bad(message, size_bytes,
                           "--size and --dont-fragment do not go with --mtu or --path-mtu, which set both");
    if (!options->rounds.period_ns)
        options->rounds.period_ns = NS_PER_S;
    return 0;
}

/* What each option alone cannot tell. */
static int check(struct report_options *options, char *message, size_t size_bytes)
{
    unsigned standard_input = 0, targets = 0;

    if (options->quiet && options->format != REPORT_TABLE)
        return options_bad(message, size_bytes, "--quiet goes with the table only, not with another format");
    if (options->output && options->format == REPORT_JSON_LINES)
        return options_bad(message, size_bytes,
                           "--output is for what is written at the end, not for --json-lines");
    if (options->watch_ns &&
        (options->output || (options->format != REPORT_TABLE && options->format != REPORT_JSON_LINES)))
        return options_bad(
            message, size_bytes,
            "--watch prints lines: it goes with the table or --json-lines, and not with --output");
    for (size_t i = 0; i < options->source_count; i++) {
        enum report_source_kind kind = options->sources[i].kind;

        targets += kind == REPORT_TARGET || kind == REPORT_FILE;
        standard_input += (kind == REPORT_FILE || kind == REPORT_EXCLUDE_FILE) &&
                          strcmp(options->sources[i].text, "-") == 0;
    }
    if (standard_input > 1)
        return options_bad(message, size_bytes, "standard input ('-') can be read only once");
    if (targets == 0)
        return options_bad(message, size_bytes, "no target given");
    if (check_kind(options, message, size_bytes) < 0)
        return -EINVAL;
    return probe_settings_check(&options->settings, message, size_bytes);
}

/* Words that stand for something else. */
struct words {
    const char *order, *output;
    bool no_retry;
};

#define TIME(time_)   .time_ns = &(time_), .least = TIME_MIN_NS, .most = TIME_MAX_NS
#define SOURCES(kind) .take = take_targets, .context = o, .key = (kind)
#define FORMAT(which) .take = take_format, .context = &o->format, .key = (which)

/* How many options each part of the table has: one more or less does not compile. */
enum { TARGETS = 9, PATIENCE = 6, KINDS = 4, PACKETS = 10, OUTPUT = 7 };

/* Puts a part of the table into its place in the whole. */
#define PUT(to, part, count)                                                          \
    do {                                                                              \
        _Static_assert(ARRAY_SIZE(part) == (count), "the enumeration says how many"); \
        memcpy(to, part, sizeof(part));                                               \
    } while (0)

static void targets_rows(struct option_row rows[static TARGETS], struct report_options *o,
                         struct words *words)
{
    static const char *const orders[] = {"random", "given", NULL};
    const struct option_row part[] = {
        {'f', "file", "FILE",
         "read targets from FILE ('-': standard input): separated by white space,\n"
         "'#' starts a comment; may be given several times",
         SOURCES(REPORT_FILE), .heading = "Targets"},
        {'4', .help = "take only the IPv4 addresses of names", .take = take_family, .context = &o->family,
         .key = AF_INET},
        {'6', .help = "take only the IPv6 addresses of names", .take = take_family, .context = &o->family,
         .key = AF_INET6},
        {0, "name-timeout", "TIME",
         "give up names when the name service has not answered for so long (default 10)",
         TIME(o->name_timeout_ns)},
        {0, "exclude", "LIST", "leave out these addresses, prefixes and ranges (separated by commas)",
         SOURCES(REPORT_EXCLUDE)},
        {0, "exclude-file", "FILE", "the same from a file", SOURCES(REPORT_EXCLUDE_FILE)},
        {0, "shard", "M/N", "take only part M of N: every N-th target from the M-th on", .take = take_shard,
         .context = o},
        {0, "strict", .help = "end before anything is sent when one of the targets is none, or none is left",
         .flag = &o->strict},
        {0, "order", "random|given",
         "in which order they are asked (default random); results are always in\nthe order given",
         .value = &words->order, .choices = orders},
    };

    PUT(rows, part, TARGETS);
}

static void patience_rows(struct option_row rows[static PATIENCE], struct report_options *o,
                          struct words *words)
{
    struct probe_settings *settings = &o->settings;
    const struct option_row part[] = {
        {0, "select-timeout", "TIME", "length of one wait for a reply (default 1)",
         TIME(settings->select_timeout_ns), .heading = "How long"},
        {0, "select-count", "N", "how many waits, each after one more request (default 1)",
         OPTION_NUMBER(settings->select_count, 1, COUNT_MAX)},
        {0, "ping-timeout", "TIME",
         "bound of a target's whole time (default: select-timeout x select-count,\nand never more)",
         TIME(settings->ping_timeout_ns)},
        {0, "single-request", .help = "send the first request only, and wait the whole time",
         .flag = &settings->single_request},
        {0, "rate", "N", "send at most N packets a second (default: as fast as replies can be taken)",
         OPTION_NUMBER(settings->rate, 1, RATE_MAX)},
        {0, "no-retry-doubtful",
         .help = "do not ask again who may be unreachable because this host dropped replies",
         .flag = &words->no_retry},
    };

    PUT(rows, part, PATIENCE);
}

static void kinds_rows(struct option_row rows[static KINDS], struct report_options *o)
{
    const struct option_row part[] = {
        {0, "count", "N", "how good is the way there: N requests to each, loss, round-trip times,\njitter",
         OPTION_NUMBER(o->rounds.count, 1, PROBE_ROUNDS_COUNT_MAX),
         .heading = "  TIME is in seconds, or has a unit: 0.1, 100ms, 500us, 2m, 1h.\n\n"
                    "What is asked: is it reachable? Or"},
        {0, "period", "TIME", "from one of them to the next (default 1)", .time_ns = &o->rounds.period_ns,
         .least = PROBE_ROUNDS_PERIOD_MIN_NS, .most = TIME_MAX_NS},
        {0, "mtu", "SIZE", "do IP packets of SIZE bytes get through unfragmented?",
         OPTION_NUMBER(o->mtu_bytes, PROBE_PATH_MTU_MIN_BYTES, PROBE_PATH_MTU_MAX_BYTES)},
        {0, "path-mtu", .help = "which are the largest that do?", .flag = &o->path_mtu},
    };

    PUT(rows, part, KINDS);
}

static void packets_rows(struct option_row rows[static PACKETS], struct report_options *o)
{
    static const char *const transports[] = {"auto", "epoll", "io_uring", "poll", NULL};
    struct probe_settings *settings = &o->settings;
    const struct option_row part[] = {
        {0, "size", "BYTES", "ICMP payload (default 56)",
         OPTION_NUMBER(settings->payload_bytes, PROBE_PAYLOAD_MIN_BYTES, PROBE_PAYLOAD_MAX_BYTES),
         .flag = &o->has_size, .heading = "What is sent"},
        {0, "dont-fragment", .help = "the packet has to fit through the whole way",
         .flag = &settings->dont_fragment},
        {0, "tos", "N", "IPv4 TOS, IPv6 traffic class (0-255)", OPTION_NUMBER(settings->tos, 0, 255)},
        {0, "ttl", "N", "IPv4 TTL, IPv6 hop limit (1-255)", OPTION_NUMBER(settings->ttl, 1, 255)},
        {0, "source", "ADDRESS", "one of this host's addresses; once for IPv4, once for IPv6",
         .take = take_source, .context = o},
        {0, "interface", "NAME", "send and receive through this interface only", .take = take_interface,
         .context = settings},
        {0, "mark", "N", "firewall mark", OPTION_NUMBER(settings->mark, 0, UINT32_MAX)},
        {0, "tx-timestamps",
         .help = "let the kernel say when each request leaves: exact round-trip times (with\nepoll or poll)",
         .flag = &settings->tx_timestamps},
        {0, "transport", "NAME", "auto (default), epoll, io_uring or poll", .value = &settings->transport,
         .choices = transports},
        {0, "workers", "N", "use N threads for probing (default: one a CPU, from 256 targets on)",
         OPTION_NUMBER(o->workers, 1, WORKERS_MAX)},
    };

    PUT(rows, part, PACKETS);
}

static void output_rows(struct option_row rows[static OUTPUT], struct report_options *o, struct words *words)
{
    const struct option_row part[] = {
        {0, "json", .help = "one JSON document (schema reroute.report/1)", FORMAT(REPORT_JSON),
         .heading = "What is printed: the targets that are not reachable and why, then a summary; or"},
        {0, "json-lines",
         .help = "one JSON object a line for each target as soon as it is known, then a\nsummary",
         FORMAT(REPORT_JSON_LINES)},
        {0, "csv", .help = "one line a target, with a header", FORMAT(REPORT_CSV)},
        {0, "openmetrics", .help = "metrics, for Prometheus and node_exporter's textfile collector",
         FORMAT(REPORT_OPENMETRICS)},
        {0, "output", "FILE",
         "write it to FILE, which appears as a whole when it is complete; '-':\nstandard output",
         .value = &words->output},
        {'q', "quiet", .help = "the summary only", .flag = &o->quiet},
        {0, "watch", "TIME",
         "repeat it every TIME (default 1) and print what changes, until Ctrl-C;\n"
         "for the table and --json-lines",
         TIME(o->watch_ns), .without = "1"},
    };

    PUT(rows, part, OUTPUT);
}

static int parse(struct report_options *o, struct words *words, int argc, char **argv, char *message,
                 size_t size_bytes)
{
    struct option_row rows[TARGETS + PATIENCE + KINDS + PACKETS + OUTPUT + 1] = {0};
    const struct command_line line = {
        .about =
            "\nAsks each target by ICMP echo whether it is reachable. A target is an IPv4 or IPv6 address, a "
            "prefix\n(10.0.0.0/16: all its addresses), a range (10.0.0.1-10.0.3.254) or a name.\n",
        .operands = "TARGET...",
        .operand = &(struct option_row){SOURCES(REPORT_TARGET)},
        .rows = rows,
        .after =
            "Exit code: 0 all are reachable, 1 some are not, 2 a name was not found, or what was given is "
            "no\ntarget, 3 bad arguments, 4 system error; 130 when interrupted (what is known by then is "
            "printed).\n",
    };
    struct option_row *next = rows;
    int at;

    targets_rows(next, o, words);
    patience_rows(next += TARGETS, o, words);
    kinds_rows(next += PATIENCE, o);
    packets_rows(next += KINDS, o);
    output_rows(next += PACKETS, o, words);
    at = options_read(&line, argc, argv, message, size_bytes);

    return at == 0 ? options_help(&line, argv[0]) : at;
}

int report_options_parse(struct report_options *options, int argc, char **argv, char *message,
                         size_t size_bytes)
{
    struct words words = {0};
    int at;

    *options =
        (struct report_options){.settings = probe_settings_default(), .name_timeout_ns = NAME_TIMEOUT_NS};
    options->sources = calloc((size_t)argc + 1, sizeof(*options->sources));
    if (!options->sources)
        return -ENOMEM;
    at = parse(options, &words, argc, argv, message, size_bytes);
    options->help = at == 0;
    if (at <= 0)
        return at;
    options->in_order = words.order && strcmp(words.order, "given") == 0;
    options->settings.retry_doubtful = !words.no_retry;
    if (words.output && strcmp(words.output, "-") != 0)
        options->output = words.output;
    return check(options, message, size_bytes);
}

void report_options_clear(struct report_options *options)
{
    free(options->sources);
    options->sources = NULL;
    options->source_count = 0;
}
