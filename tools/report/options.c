/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/report/options.h"

#include "probe/path_mtu.h"
#include "probe/quantity.h"
#include "tools/report/target_text.h"

#include <getopt.h>
#include <stdarg.h>

#define TIME_MAX_NS     (3600 * NS_PER_S)
#define NAME_TIMEOUT_NS (10 * NS_PER_S)
#define COUNT_MAX       1000000
#define WORKERS_MAX     256
#define SHARDS_MAX      65536
#define RATE_MAX        10000000

static const char help_text[] =
    "Usage: reroute report [OPTION...] TARGET...\n"
    "\n"
    "Asks each target by ICMP echo whether it is reachable. A target is an IPv4 or IPv6 address, a prefix\n"
    "(10.0.0.0/16: all its addresses), a range (10.0.0.1-10.0.3.254) or a name.\n"
    "\n"
    "Targets\n"
    "  -f, --file FILE             read targets from FILE ('-': standard input): separated by white space,\n"
    "                              '#' starts a comment; may be given several times\n"
    "  -4, -6                      take only the IPv4 or the IPv6 addresses of names\n"
    "      --name-timeout TIME     give up names when the name service has not answered for so long (default "
    "10)\n"
    "      --exclude LIST          leave out these addresses, prefixes and ranges (separated by commas)\n"
    "      --exclude-file FILE     the same from a file\n"
    "      --shard M/N             take only part M of N: every N-th target from the M-th on\n"
    "      --strict                end before anything is sent when one of the targets is none, or none is "
    "left\n"
    "      --order random|given    in which order they are asked (default random); results are always in "
    "the\n"
    "                              order given\n"
    "\n"
    "How long\n"
    "      --select-timeout TIME   length of one wait for a reply (default 1)\n"
    "      --select-count N        how many waits, each after one more request (default 1)\n"
    "      --ping-timeout TIME     bound of a target's whole time (default: select-timeout x select-count, "
    "and\n"
    "                              never more)\n"
    "      --single-request        send the first request only, and wait the whole time\n"
    "      --rate N                send at most N packets a second (default: as fast as replies can be "
    "taken)\n"
    "      --no-retry-doubtful     do not ask again who may be unreachable because this host dropped "
    "replies\n"
    "  TIME is in seconds, or has a unit: 0.1, 100ms, 500us, 2m, 1h.\n"
    "\n"
    "What is asked: is it reachable? Or\n"
    "      --count N               how good is the way there: N requests to each, loss, round-trip times, "
    "jitter\n"
    "      --period TIME           from one of them to the next (default 1)\n"
    "      --mtu SIZE              do IP packets of SIZE bytes get through unfragmented?\n"
    "      --path-mtu              which are the largest that do?\n"
    "\n"
    "What is sent\n"
    "      --size BYTES            ICMP payload (default 56)\n"
    "      --dont-fragment         the packet has to fit through the whole way\n"
    "      --tos N                 IPv4 TOS, IPv6 traffic class (0-255)\n"
    "      --ttl N                 IPv4 TTL, IPv6 hop limit (1-255)\n"
    "      --source ADDRESS        one of this host's addresses; once for IPv4, once for IPv6\n"
    "      --interface NAME        send and receive through this interface only\n"
    "      --mark N                firewall mark\n"
    "      --tx-timestamps         let the kernel say when each request leaves: exact round-trip times (with "
    "epoll\n"
    "                              or poll)\n"
    "      --transport NAME        auto (default), epoll, io_uring or poll\n"
    "      --workers N             use N threads for probing (default: one a CPU, from 256 targets on)\n"
    "\n"
    "What is printed: the targets that are not reachable and why, then a summary; or\n"
    "      --json                  one JSON document (schema reroute.report/1)\n"
    "      --json-lines            one JSON object a line for each target as soon as it is known, then a "
    "summary\n"
    "      --csv                   one line a target, with a header\n"
    "      --openmetrics           metrics, for Prometheus and node_exporter's textfile collector\n"
    "      --output FILE           write it to FILE, which appears as a whole when it is complete; '-': "
    "standard\n"
    "                              output\n"
    "  -q, --quiet                 the summary only\n"
    "      --watch[=TIME]          repeat it every TIME (default 1) and print what changes, until Ctrl-C; "
    "for "
    "the\n"
    "                              table and --json-lines\n"
    "  -h, --help                  this text\n"
    "\n"
    "Exit code: 0 all are reachable, 1 some are not, 2 a name was not found, or what was given is "
    "no\n"
    "target, 3 bad arguments, 4 system error; 130 when interrupted (what is known by then is printed).\n";

enum option_key {
    OPTION_SELECT_TIMEOUT = 256,
    OPTION_SELECT_COUNT,
    OPTION_PING_TIMEOUT,
    OPTION_SINGLE_REQUEST,
    OPTION_RATE,
    OPTION_COUNT,
    OPTION_PERIOD,
    OPTION_MTU,
    OPTION_PATH_MTU,
    OPTION_NO_RETRY_DOUBTFUL,
    OPTION_EXCLUDE,
    OPTION_EXCLUDE_FILE,
    OPTION_SHARD,
    OPTION_STRICT,
    OPTION_NAME_TIMEOUT,
    OPTION_ORDER,
    OPTION_SIZE,
    OPTION_DONT_FRAGMENT,
    OPTION_TOS,
    OPTION_TTL,
    OPTION_SOURCE,
    OPTION_INTERFACE,
    OPTION_MARK,
    OPTION_TX_TIMESTAMPS,
    OPTION_TRANSPORT,
    OPTION_WORKERS,
    OPTION_JSON,
    OPTION_JSON_LINES,
    OPTION_CSV,
    OPTION_OPENMETRICS,
    OPTION_OUTPUT,
    OPTION_WATCH,
};

static const struct option long_options[] = {
    {"file", required_argument, NULL, 'f'},
    {"select-timeout", required_argument, NULL, OPTION_SELECT_TIMEOUT},
    {"select-count", required_argument, NULL, OPTION_SELECT_COUNT},
    {"ping-timeout", required_argument, NULL, OPTION_PING_TIMEOUT},
    {"single-request", no_argument, NULL, OPTION_SINGLE_REQUEST},
    {"rate", required_argument, NULL, OPTION_RATE},
    {"count", required_argument, NULL, OPTION_COUNT},
    {"period", required_argument, NULL, OPTION_PERIOD},
    {"mtu", required_argument, NULL, OPTION_MTU},
    {"path-mtu", no_argument, NULL, OPTION_PATH_MTU},
    {"no-retry-doubtful", no_argument, NULL, OPTION_NO_RETRY_DOUBTFUL},
    {"exclude", required_argument, NULL, OPTION_EXCLUDE},
    {"exclude-file", required_argument, NULL, OPTION_EXCLUDE_FILE},
    {"shard", required_argument, NULL, OPTION_SHARD},
    {"name-timeout", required_argument, NULL, OPTION_NAME_TIMEOUT},
    {"strict", no_argument, NULL, OPTION_STRICT},
    {"order", required_argument, NULL, OPTION_ORDER},
    {"size", required_argument, NULL, OPTION_SIZE},
    {"dont-fragment", no_argument, NULL, OPTION_DONT_FRAGMENT},
    {"tos", required_argument, NULL, OPTION_TOS},
    {"ttl", required_argument, NULL, OPTION_TTL},
    {"source", required_argument, NULL, OPTION_SOURCE},
    {"interface", required_argument, NULL, OPTION_INTERFACE},
    {"mark", required_argument, NULL, OPTION_MARK},
    {"tx-timestamps", no_argument, NULL, OPTION_TX_TIMESTAMPS},
    {"transport", required_argument, NULL, OPTION_TRANSPORT},
    {"workers", required_argument, NULL, OPTION_WORKERS},
    {"json", no_argument, NULL, OPTION_JSON},
    {"json-lines", no_argument, NULL, OPTION_JSON_LINES},
    {"csv", no_argument, NULL, OPTION_CSV},
    {"openmetrics", no_argument, NULL, OPTION_OPENMETRICS},
    {"output", required_argument, NULL, OPTION_OUTPUT},
    {"watch", optional_argument, NULL, OPTION_WATCH},
    {"quiet", no_argument, NULL, 'q'},
    {"help", no_argument, NULL, 'h'},
    {NULL, 0, NULL, 0},
};

/* Where the message of a bad option goes. */
struct parser {
    struct report_options *options;
    char *message;
    size_t size_bytes;
};

PRINTF_LIKE(2, 3) static int bad(const struct parser *parser, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(parser->message, parser->size_bytes, format, arguments);
    va_end(arguments);
    return -EINVAL;
}

static int take_duration(const struct parser *parser, const char *option, uint64_t *out_ns)
{
    if (quantity_time_argument(optarg, NS_PER_MS, TIME_MAX_NS, out_ns) < 0)
        return bad(parser, "--%s '%s': expected a time from 1ms to 1h, such as 0.5 (seconds) or 100ms",
                   option, optarg);
    return 0;
}

static int take_number(const struct parser *parser, const char *option, uint64_t min, uint64_t max,
                       uint64_t *out)
{
    if (quantity_number(optarg, min, max, out) < 0)
        return bad(parser, "--%s '%s': expected a number from %" PRIu64 " to %" PRIu64, option, optarg, min,
                   max);
    return 0;
}

static int take_source(const struct parser *parser)
{
    struct address address, *slot;
    int error = address_parse(&address, optarg);
    const char *no_host = error ? NULL : report_no_host(&address);

    if (error)
        return bad(parser, "--source '%s': %s", optarg,
                   error == -ENODEV ? "there is no such interface on this host" : "expected an address");
    if (no_host)
        return bad(parser, "--source '%s': it is %s, no host's", optarg, no_host);
    slot =
        address.family == AF_INET ? &parser->options->settings.source4 : &parser->options->settings.source6;
    if (address_is_set(slot))
        return bad(parser, "--source '%s': there is one for %s already", optarg,
                   address.family == AF_INET ? "IPv4" : "IPv6");
    *slot = address;
    return 0;
}

static int take_interface(const struct parser *parser)
{
    if (if_nametoindex(optarg) == 0)
        return bad(parser, "--interface '%s': there is no such interface on this host", optarg);
    snprintf(parser->options->settings.interface, sizeof(parser->options->settings.interface), "%s", optarg);
    return 0;
}

static int take_transport(const struct parser *parser)
{
    static const char *const names[] = {"auto", "epoll", "io_uring", "poll"};

    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        if (strcmp(optarg, names[i]) == 0) {
            parser->options->settings.transport = names[i];
            return 0;
        }
    }
    return bad(parser, "--transport '%s': expected auto, epoll, io_uring or poll", optarg);
}

static int take_family(const struct parser *parser, int family)
{
    if (parser->options->family != AF_UNSPEC && parser->options->family != family)
        return bad(parser, "-4 and -6 exclude each other");
    parser->options->family = family;
    return 0;
}

static int take_format(const struct parser *parser, enum report_format format)
{
    if (parser->options->format != REPORT_TABLE && parser->options->format != format)
        return bad(parser, "--json, --json-lines, --csv and --openmetrics exclude each other");
    parser->options->format = format;
    return 0;
}

/* "2/5" */
static int take_shard(const struct parser *parser)
{
    const char *slash = strchr(optarg, '/');
    char first[16] = "";
    uint64_t shard, shards;

    if (slash)
        snprintf(first, sizeof(first), "%.*s", (int)(slash - optarg), optarg);
    if (!slash || quantity_number(slash + 1, 1, SHARDS_MAX, &shards) < 0 ||
        quantity_number(first, 1, shards, &shard) < 0)
        return bad(parser, "--shard '%s': expected M/N, such as 2/5, with N up to %d and M from 1 to N",
                   optarg, SHARDS_MAX);
    parser->options->shard = (uint32_t)shard - 1;
    parser->options->shards = (uint32_t)shards;
    return 0;
}

static int take_order(const struct parser *parser)
{
    parser->options->in_order = strcmp(optarg, "given") == 0;
    if (!parser->options->in_order && strcmp(optarg, "random") != 0)
        return bad(parser, "--order '%s': expected random or given", optarg);
    return 0;
}

static int take_source_of_targets(struct report_options *options, enum report_source_kind kind)
{
    options->sources[options->source_count++] = (struct report_source){optarg, kind};
    return 0;
}

/* What is asked of each target. */
static int take_kind(const struct parser *parser, int key)
{
    struct report_options *options = parser->options;
    uint64_t number = 0;
    int error = 0;

    switch (key) {
    case OPTION_COUNT:
        error = take_number(parser, "count", 1, PROBE_ROUNDS_COUNT_MAX, &number);
        options->rounds.count = (uint32_t)number;
        return error;
    case OPTION_PERIOD:
        error = take_duration(parser, "period", &options->rounds.period_ns);
        if (!error && options->rounds.period_ns < PROBE_ROUNDS_PERIOD_MIN_NS)
            return bad(parser, "--period '%s': expected at least 10ms", optarg);
        return error;
    case OPTION_MTU:
        error = take_number(parser, "mtu", PROBE_PATH_MTU_MIN_BYTES, PROBE_PATH_MTU_MAX_BYTES, &number);
        options->mtu_bytes = (uint32_t)number;
        return error;
    default:
        options->path_mtu = true;
        return 0;
    }
}

static int take_probe_option(const struct parser *parser, int key)
{
    struct probe_settings *settings = &parser->options->settings;
    uint64_t number = 0;
    int error = 0;

    switch (key) {
    case OPTION_SELECT_TIMEOUT:
        return take_duration(parser, "select-timeout", &settings->select_timeout_ns);
    case OPTION_SELECT_COUNT:
        error = take_number(parser, "select-count", 1, COUNT_MAX, &number);
        settings->select_count = (uint32_t)number;
        return error;
    case OPTION_PING_TIMEOUT:
        return take_duration(parser, "ping-timeout", &settings->ping_timeout_ns);
    case OPTION_SINGLE_REQUEST:
        settings->single_request = true;
        return 0;
    case OPTION_RATE:
        error = take_number(parser, "rate", 1, RATE_MAX, &number);
        settings->rate = (uint32_t)number;
        return error;
    case OPTION_COUNT:
    case OPTION_PERIOD:
    case OPTION_MTU:
    case OPTION_PATH_MTU:
        return take_kind(parser, key);
    case OPTION_NO_RETRY_DOUBTFUL:
        settings->retry_doubtful = false;
        return 0;
    case OPTION_SIZE:
        error = take_number(parser, "size", PROBE_PAYLOAD_MIN_BYTES, PROBE_PAYLOAD_MAX_BYTES, &number);
        settings->payload_bytes = (uint32_t)number;
        parser->options->has_size = true;
        return error;
    case OPTION_DONT_FRAGMENT:
        settings->dont_fragment = true;
        return 0;
    case OPTION_TOS:
        error = take_number(parser, "tos", 0, 255, &number);
        settings->tos = (uint8_t)number;
        return error;
    case OPTION_TTL:
        error = take_number(parser, "ttl", 1, 255, &number);
        settings->ttl = (uint8_t)number;
        return error;
    case OPTION_MARK:
        error = take_number(parser, "mark", 0, UINT32_MAX, &number);
        settings->mark = (uint32_t)number;
        return error;
    case OPTION_WORKERS:
        error = take_number(parser, "workers", 1, WORKERS_MAX, &number);
        parser->options->workers = (uint32_t)number;
        return error;
    case OPTION_TX_TIMESTAMPS:
        settings->tx_timestamps = true;
        return 0;
    case OPTION_SOURCE:
        return take_source(parser);
    case OPTION_INTERFACE:
        return take_interface(parser);
    case OPTION_TRANSPORT:
        return take_transport(parser);
    default:
        return bad(parser, "option %d is not handled", key);
    }
}

static int take_option(const struct parser *parser, int key, char **argv)
{
    struct report_options *options = parser->options;

    switch (key) {
    case 1: /* not an option: optstring starts with '-' */
        if (optind > 1 && strcmp(argv[optind - 2], "--watch") == 0 &&
            quantity_time_argument(optarg, 0, NEVER_NS, &(uint64_t){0}) == 0)
            return bad(parser, "--watch takes its time behind '=', as in --watch=%s", optarg);
        return take_source_of_targets(options, REPORT_TARGET);
    case 'f':
        return take_source_of_targets(options, REPORT_FILE);
    case OPTION_EXCLUDE:
        return take_source_of_targets(options, REPORT_EXCLUDE);
    case OPTION_EXCLUDE_FILE:
        return take_source_of_targets(options, REPORT_EXCLUDE_FILE);
    case OPTION_SHARD:
        return take_shard(parser);
    case OPTION_NAME_TIMEOUT:
        return take_duration(parser, "name-timeout", &options->name_timeout_ns);
    case OPTION_STRICT:
        options->strict = true;
        return 0;
    case OPTION_ORDER:
        return take_order(parser);
    case '4':
        return take_family(parser, AF_INET);
    case '6':
        return take_family(parser, AF_INET6);
    case 'q':
        options->quiet = true;
        return 0;
    case 'h':
        options->help = true;
        return 0;
    case OPTION_JSON:
        return take_format(parser, REPORT_JSON);
    case OPTION_JSON_LINES:
        return take_format(parser, REPORT_JSON_LINES);
    case OPTION_CSV:
        return take_format(parser, REPORT_CSV);
    case OPTION_OPENMETRICS:
        return take_format(parser, REPORT_OPENMETRICS);
    case OPTION_WATCH:
        options->watch_ns = NS_PER_S;
        return optarg ? take_duration(parser, "watch", &options->watch_ns) : 0;
    case OPTION_OUTPUT:
        options->output = strcmp(optarg, "-") == 0 ? NULL : optarg;
        return 0;
    case ':':
        return bad(parser, "option '%s' needs a value", argv[optind - 1]);
    case '?':
        /* Of --help and --quiet with a value it is their letter. */
        if (optopt > 0 && optopt < 256 && optopt != 'h' && optopt != 'q')
            return bad(parser, "unknown option '-%c'", optopt);
        return bad(parser, optopt ? "option '%s' takes no value" : "unknown or ambiguous option '%s'",
                   argv[optind - 1]);
    default:
        return take_probe_option(parser, key);
    }
}

/* Each kind of report has options that mean nothing in the others. */
static int check_kind(const struct parser *parser)
{
    struct report_options *options = parser->options;
    const struct probe_settings *settings = &options->settings;
    bool is_mtu = options->mtu_bytes || options->path_mtu;

    if ((options->rounds.count > 0) + (options->mtu_bytes > 0) + options->path_mtu > 1)
        return bad(parser, "--count, --mtu and --path-mtu exclude each other");
    if (options->rounds.period_ns && !options->rounds.count)
        return bad(parser, "--period goes with --count only");
    if (!options->rounds.count && !is_mtu)
        return 0;
    if (settings->ping_timeout_ns || settings->single_request || options->workers || options->watch_ns)
        return bad(parser, "--ping-timeout, --single-request, --workers and --watch do not go with %s",
                   options->rounds.count ? "--count" : "--mtu or --path-mtu");
    if (is_mtu && (options->has_size || settings->dont_fragment))
        return bad(parser, "--size and --dont-fragment do not go with --mtu or --path-mtu, which set both");
    if (!options->rounds.period_ns)
        options->rounds.period_ns = NS_PER_S;
    return 0;
}

/* What each option alone cannot tell. */
static int check(const struct parser *parser)
{
    const struct report_options *options = parser->options;
    unsigned standard_input = 0, targets = 0;

    if (options->quiet && options->format != REPORT_TABLE)
        return bad(parser, "--quiet goes with the table only, not with another format");
    if (options->output && options->format == REPORT_JSON_LINES)
        return bad(parser, "--output is for what is written at the end, not for --json-lines");
    if (options->watch_ns &&
        (options->output || (options->format != REPORT_TABLE && options->format != REPORT_JSON_LINES)))
        return bad(parser,
                   "--watch prints lines: it goes with the table or --json-lines, and not with --output");
    for (size_t i = 0; i < options->source_count; i++) {
        enum report_source_kind kind = options->sources[i].kind;

        targets += kind == REPORT_TARGET || kind == REPORT_FILE;
        standard_input += (kind == REPORT_FILE || kind == REPORT_EXCLUDE_FILE) &&
                          strcmp(options->sources[i].text, "-") == 0;
    }
    if (standard_input > 1)
        return bad(parser, "standard input ('-') can be read only once");
    if (targets == 0)
        return bad(parser, "no target given");
    if (check_kind(parser) < 0)
        return -EINVAL;
    return probe_settings_check(&options->settings, parser->message, parser->size_bytes);
}

int report_options_parse(struct report_options *options, int argc, char **argv, char *message,
                         size_t size_bytes)
{
    const struct parser parser = {options, message, size_bytes};
    int key;

    *options =
        (struct report_options){.settings = probe_settings_default(), .name_timeout_ns = NAME_TIMEOUT_NS};
    options->sources = calloc((size_t)argc + 1, sizeof(*options->sources));
    if (!options->sources)
        return -ENOMEM;
    optind = 0; /* from a clean state; NULL would do for a program that parses once */
    opterr = 0;
    while ((key = getopt_long(argc, argv, "-:46f:hq", long_options, NULL)) != -1) {
        int error = take_option(&parser, key, argv);

        if (error || options->help)
            return error;
    }
    for (; optind < argc; optind++) /* after "--" */
        options->sources[options->source_count++] = (struct report_source){argv[optind], REPORT_TARGET};
    return check(&parser);
}

void report_options_clear(struct report_options *options)
{
    free(options->sources);
    options->sources = NULL;
    options->source_count = 0;
}

int report_options_help(void)
{
    return fputs(help_text, stdout) == EOF || fflush(stdout) == EOF ? -errno : 0;
}
