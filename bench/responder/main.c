/* SPDX-License-Identifier: Apache-2.0 */
/* The responder as a program: reads its arguments, says "ready", answers until it is told to stop. */
#include <getopt.h>

#include <signal.h>
#include <sys/signalfd.h>

#include "bench/responder/loop.h"
#include "bench/responder/responder.h"
#include "probe/text.h"
#include "tools/exit_code.h"

#define MESSAGE_BYTES 1024

static const char help_text[] =
    "Usage: responder --tun NAME --address ADDRESS/LENGTH... [OPTION...]\n"
    "\n"
    "A network that misbehaves on command: makes a TUN device in this network namespace and answers ICMP "
    "echo\n"
    "requests for every address that is led into it. Prints 'ready', and at SIGTERM or SIGINT its counters "
    "as\n"
    "one line of JSON. Run it in a namespace of its own: the routes are real.\n"
    "\n"
    "  --tun NAME                the device to make\n"
    "  --address ADDRESS/LENGTH  this host's address on it; the address after it is the router that sends "
    "ICMP\n"
    "                            errors. Once for IPv4, once for IPv6\n"
    "  --route PREFIX            lead these addresses into it too; any number of times\n"
    "  --profile PREFIX=PROFILE  how these addresses behave; the longest prefix counts; what has no profile "
    "is\n"
    "                            'perfect'. Any number of times\n"
    "  --seed N                  another course of the same game (default 1)\n"
    "  --realtime                answer before all other work of the machine, so that delays are exact on a "
    "busy\n"
    "                            one; may take most of a core away from everybody else\n"
    "  --help                    this text\n"
    "\n"
    "For example\n"
    "  responder --tun lab0 --address 10.0.0.1/24 --route 10.1.0.0/16 \\\n"
    "            --profile 10.1.0.0/16=nested --profile 10.1.9.0/24=dead\n"
    "\n";

/* What the command line says; the lists are allocated. */
struct arguments {
    struct responder_settings settings;
    struct responder_prefix *addresses, *routes;
    struct responder_rule *rules;
    bool help;
};

static void arguments_clear(struct arguments *arguments)
{
    free(arguments->addresses);
    free(arguments->routes);
    free(arguments->rules);
}

static int usage(const char *option, const char *message)
{
    text_error("responder: %s%s", option, message);
    text_error("Try 'responder --help'.");
    return -EINVAL;
}

static int take_address(struct arguments *arguments, const char *text)
{
    struct responder_prefix *prefix = &arguments->addresses[arguments->settings.address_count];

    if (responder_prefix_parse(prefix, text) < 0 || !strchr(text, '/')) {
        text_error("responder: --address '%s': expected an address with its length, such as 10.0.0.1/24",
                   text);
        return -EINVAL;
    }
    arguments->settings.address_count++;
    return 0;
}

static int take_route(struct arguments *arguments, const char *text)
{
    struct responder_prefix *prefix = &arguments->routes[arguments->settings.route_count];

    if (responder_prefix_parse(prefix, text) < 0 || !responder_prefix_is_network(prefix)) {
        text_error("responder: --route '%s': expected a network, such as 10.1.0.0/16", text);
        return -EINVAL;
    }
    arguments->settings.route_count++;
    return 0;
}

static int take_rule(struct arguments *arguments, const char *text)
{
    struct responder_rule *rule = &arguments->rules[arguments->settings.rule_count];
    char message[MESSAGE_BYTES];

    if (responder_rule_parse(rule, text, message, sizeof(message)) < 0)
        return usage("--profile ", message);
    arguments->settings.rule_count++;
    return 0;
}

static int take_seed(struct arguments *arguments, const char *text)
{
    char *end;

    errno = 0;
    arguments->settings.seed = strtoull(text, &end, 0);
    if (text[0] < '0' || text[0] > '9' || *end || errno) {
        text_error("responder: --seed '%s': expected a number", text);
        return -EINVAL;
    }
    return 0;
}

static int take_option(struct arguments *arguments, int option)
{
    switch (option) {
    case 't':
        if (optarg[0] == '\0' || strlen(optarg) >= IFNAMSIZ)
            return usage("--tun: ", "expected a name of up to 15 characters");
        snprintf(arguments->settings.tun, IFNAMSIZ, "%s", optarg);
        return 0;
    case 'a':
        return take_address(arguments, optarg);
    case 'r':
        return take_route(arguments, optarg);
    case 'p':
        return take_rule(arguments, optarg);
    case 's':
        return take_seed(arguments, optarg);
    case 'R':
        arguments->settings.realtime = true;
        return 0;
    case 'h':
        arguments->help = true;
        return 0;
    default:
        return usage("", "see above");
    }
}

static int read_arguments(struct arguments *arguments, int argc, char **argv)
{
    static const struct option options[] = {
        {"tun", required_argument, NULL, 't'},   {"address", required_argument, NULL, 'a'},
        {"route", required_argument, NULL, 'r'}, {"profile", required_argument, NULL, 'p'},
        {"seed", required_argument, NULL, 's'},  {"realtime", no_argument, NULL, 'R'},
        {"help", no_argument, NULL, 'h'},        {NULL, 0, NULL, 0},
    };
    int option, r = 0;

    arguments->settings.seed = 1;
    arguments->addresses = calloc((size_t)argc, sizeof(*arguments->addresses));
    arguments->routes = calloc((size_t)argc, sizeof(*arguments->routes));
    arguments->rules = calloc((size_t)argc, sizeof(*arguments->rules));
    if (!arguments->addresses || !arguments->routes || !arguments->rules)
        return -ENOMEM;
    while (r == 0 && (option = getopt_long(argc, argv, "", options, NULL)) != -1)
        r = take_option(arguments, option);
    arguments->settings.addresses = arguments->addresses;
    arguments->settings.routes = arguments->routes;
    arguments->settings.rules = arguments->rules;
    if (r || arguments->help)
        return r;
    if (optind < argc)
        return usage(argv[optind], ": not expected here");
    if (arguments->settings.tun[0] == '\0' || arguments->settings.address_count == 0)
        return usage("", "--tun and --address are needed");
    return 0;
}

/* Returns a descriptor that is readable once the program shall end. */
static int stop_signals(void)
{
    sigset_t set;
    int fd;

    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigprocmask(SIG_BLOCK, &set, NULL);
    fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    return fd < 0 ? -errno : fd;
}

static int answer(const struct responder_settings *settings)
{
    CLEANUP(responder_close) struct responder *responder = NULL;
    char message[MESSAGE_BYTES] = "";
    CLEANUP(close_fd) int stop_fd = stop_signals();
    int r = stop_fd < 0 ? stop_fd : responder_open(&responder, settings, message, sizeof(message));

    if (r < 0) {
        text_error("responder: %s", message[0] ? message : strerror(-r));
        return EXIT_SYSTEM;
    }
    puts("ready");
    fflush(stdout);
    r = responder_run(responder, stop_fd);
    responder_write_json(responder, stdout);
    if (r < 0)
        text_error("responder: %s", strerror(-r));
    return r < 0 || fflush(stdout) != 0 ? EXIT_SYSTEM : 0;
}

int main(int argc, char **argv)
{
    struct arguments arguments = {0};
    int r = read_arguments(&arguments, argc, argv);
    int code = EXIT_USAGE;

    if (r == 0 && arguments.help) {
        fputs(help_text, stdout);
        responder_profile_help(stdout);
        code = 0;
    } else if (r == 0) {
        code = answer(&arguments.settings);
    }
    arguments_clear(&arguments);
    return code;
}
