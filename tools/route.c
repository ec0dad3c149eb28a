/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `reroute route --to ADDRESS` and `reroute clear`: the route by hand, while no agent runs.
 *
 * Both take the agent's lock, so that neither can run beside it.
 */
#include <getopt.h>
#include <linux/rtnetlink.h>

#include "route/fib.h"
#include "route/state.h"
#include "tools/command.h"

struct by_hand {
    const char *name; /* of the command, for messages */
    struct config *config;
    struct fib *fib;
    int lock_fd;
};

static int complain(const struct by_hand *hand, int code, const char *message)
{
    fprintf(stderr, "%s: %s\n", hand->name, message);
    return code;
}

static void close_by_hand(struct by_hand *hand)
{
    fib_close(hand->fib);
    config_free(hand->config);
    close_fd(hand->lock_fd);
}

/* Reads the configuration, takes the lock, opens the FIB. 0 or an exit code, after one line. */
static int open_by_hand(struct by_hand *hand, const char *config_path)
{
    struct fib_settings settings;
    char message[512];
    pid_t holder = 0;

    hand->lock_fd = -1;
    if (config_load(&hand->config, config_path, message, sizeof(message)) < 0)
        return complain(hand, EXIT_USAGE, message);
    hand->lock_fd = state_lock(hand->config->state_directory, &holder);
    if (hand->lock_fd == -EWOULDBLOCK) {
        snprintf(message, sizeof(message),
                 "refused: the agent runs (pid %d); use reroute pin, or stop it first", (int)holder);
        return complain(hand, 1, message);
    }
    if (hand->lock_fd < 0) {
        snprintf(message, sizeof(message), "cannot lock %s/lock: %s", hand->config->state_directory,
                 strerror(-hand->lock_fd));
        return complain(hand, EXIT_SYSTEM, message);
    }
    settings = (struct fib_settings){
        .backend = hand->config->route.backend,
        .table = hand->config->route.table,
        .metric = hand->config->route.metric,
        .protocol = hand->config->route.protocol,
    };
    if (fib_open(&hand->fib, &settings, message, sizeof(message)) < 0)
        return complain(hand, EXIT_SYSTEM, message);
    return 0;
}

/* The host route that stands there; 0 or -ESRCH. */
static int standing_route(const struct by_hand *hand, struct fib_route *route)
{
    size_t count = 1;
    int error = fib_get(hand->fib, &hand->config->service, route, &count);

    return error < 0 ? error : count == 0 ? -ESRCH : 0;
}

static int go_to(struct by_hand *hand, const struct address *to)
{
    struct fib_route standing, shadow = {0};
    struct address source;
    char text[160], message[400];
    uint32_t ifindex = 0;
    unsigned count = 0;
    bool stands = standing_route(hand, &standing) == 0 && standing.type == RTN_UNICAST;
    int error = fib_egress(hand->fib, to, &ifindex, &source);

    if (error < 0) {
        snprintf(message, sizeof(message), "%s: %s", ADDRESS_TEXT(to),
                 error == -EADDRINUSE ? "is an address of this host"
                                      : "no connected network of this host holds it");
        return complain(hand, EXIT_USAGE, message);
    }
    error = fib_replace(hand->fib, &hand->config->service, to, ifindex, stands ? &standing : NULL, &shadow);
    if (error < 0)
        return complain(hand, EXIT_SYSTEM, fib_error(hand->fib));
    if (hand->config->route.reset_connections)
        fib_reset_connections(hand->fib, &hand->config->service, &count);
    if (standing_route(hand, &standing) == 0)
        printf("%s; %u connections reset\n", fib_route_text(&standing, text, sizeof(text)), count);
    return 0;
}

static int clear(struct by_hand *hand, bool adopted)
{
    struct fib_route standing;
    char text[160];
    bool stands = standing_route(hand, &standing) == 0;
    int error = fib_remove(hand->fib, &hand->config->service, adopted && stands ? &standing : NULL);

    if (error < 0 && error != -ESRCH)
        return complain(hand, EXIT_SYSTEM, fib_error(hand->fib));
    puts(error ? "no route of ours was there" : "the route is removed");
    if (standing_route(hand, &standing) == 0)
        printf("still there: %s%s\n", fib_route_text(&standing, text, sizeof(text)),
               adopted ? "" : " (not ours; --adopted removes it)");
    return 0;
}

static void usage_route(FILE *out)
{
    fprintf(out, "Usage: reroute route --to ADDRESS [--config FILE]\n"
                 "Points the route to the service at ADDRESS, once. Refused while the agent runs.\n\n"
                 "  --to ADDRESS   the next hop; must be on-link\n"
                 "  --config FILE  configuration (default: " CONFIG_PATH_DEFAULT ")\n"
                 "  --help         this text\n");
}

static void usage_clear(FILE *out)
{
    fprintf(out, "Usage: reroute clear [--adopted] [--config FILE]\n"
                 "Removes our route to the service. Refused while the agent runs.\n\n"
                 "  --adopted      also a host route to the service that somebody else made\n"
                 "  --config FILE  configuration (default: " CONFIG_PATH_DEFAULT ")\n"
                 "  --help         this text\n");
}

int command_route(int argc, char **argv)
{
    static const struct option options[] = {{"to", required_argument, NULL, 't'},
                                            {"config", required_argument, NULL, 'c'},
                                            {"help", no_argument, NULL, 'h'},
                                            {0}};
    struct by_hand hand = {.name = argv[0], .lock_fd = -1};
    const char *config_path = CONFIG_PATH_DEFAULT, *to_text = NULL;
    struct address to;
    int option, code;

    while ((option = getopt_long(argc, argv, "c:", options, NULL)) != -1) {
        if (option == 'h') {
            usage_route(stdout);
            return 0;
        }
        if (option == 't')
            to_text = optarg;
        else if (option == 'c')
            config_path = optarg;
        else
            return EXIT_USAGE;
    }
    if (!to_text || optind != argc) {
        usage_route(stderr);
        return EXIT_USAGE;
    }
    if (address_parse(&to, to_text) < 0) {
        fprintf(stderr, "%s: --to '%s': expected an IPv4 or IPv6 address\n", argv[0], to_text);
        return EXIT_USAGE;
    }
    code = open_by_hand(&hand, config_path);
    if (!code && to.family != hand.config->service.family)
        code = complain(&hand, EXIT_USAGE, "--to: expected an address of the service's family");
    if (!code)
        code = go_to(&hand, &to);
    close_by_hand(&hand);
    return code;
}

int command_clear(int argc, char **argv)
{
    static const struct option options[] = {{"adopted", no_argument, NULL, 'a'},
                                            {"config", required_argument, NULL, 'c'},
                                            {"help", no_argument, NULL, 'h'},
                                            {0}};
    struct by_hand hand = {.name = argv[0], .lock_fd = -1};
    const char *config_path = CONFIG_PATH_DEFAULT;
    bool adopted = false;
    int option, code;

    while ((option = getopt_long(argc, argv, "c:", options, NULL)) != -1) {
        if (option == 'h') {
            usage_clear(stdout);
            return 0;
        }
        if (option == 'a')
            adopted = true;
        else if (option == 'c')
            config_path = optarg;
        else
            return EXIT_USAGE;
    }
    if (optind != argc) {
        usage_clear(stderr);
        return EXIT_USAGE;
    }
    code = open_by_hand(&hand, config_path);
    if (!code)
        code = clear(&hand, adopted);
    close_by_hand(&hand);
    return code;
}
