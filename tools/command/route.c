/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `reroute route --to ADDRESS` and `reroute clear`: the route by hand, while no agent runs.
 *
 * Both take the agent's lock, so that neither can run beside it.
 */
#include <linux/rtnetlink.h>
#include <net/if.h>

#include "probe/sweep.h"
#include "probe/text.h"
#include "route/agent/connections.h"
#include "route/agent/fib_settings.h"
#include "route/agent/lock.h"
#include "route/agent/state.h"
#include "route/config/config.h"
#include "route/own_file.h"
#include "tools/command/answer.h"
#include "tools/command/command.h"
#include "tools/options.h"

struct by_hand {
    const char *name; /* of the command, for messages */
    bool json;
    struct config *config;
    struct fib *fib;
    struct lock lock;
};

static int complain(const struct by_hand *hand, int code, const char *message)
{
    answer_refused(hand->name, hand->json, message);
    return code;
}

static void close_by_hand(struct by_hand *hand)
{
    fib_close(hand->fib);
    config_free(hand->config);
    lock_release(&hand->lock);
}

/* Reads the configuration, takes the lock, opens the FIB. 0 or an exit code, after one line. */
static int open_by_hand(struct by_hand *hand, const char *config_path)
{
    struct fib_settings settings;
    char message[512], running[80];
    int file_error, name_error;
    struct state state;
    pid_t holder = 0;

    if (config_load(&hand->config, config_path, message, sizeof(message)) < 0)
        return complain(hand, EXIT_USAGE, message);
    if (lock_take(&hand->lock, hand->config->state_directory, &hand->config->service,
                  hand->config->route.table, &holder, &file_error, &name_error) < 0) {
        lock_refusal_text(holder, running, sizeof(running));
        snprintf(message, sizeof(message), "refused: %s; tell it by `reroute pin`, or stop it first",
                 running);
        return complain(hand, 1, message);
    }
    if (file_error < 0 && name_error < 0) {
        snprintf(message, sizeof(message), "cannot tell whether an agent runs: %s: %s",
                 hand->config->state_directory, own_error_text(file_error));
        return complain(hand, EXIT_SYSTEM, message);
    }
    settings = agent_fib_settings(&hand->config->route);
    if (fib_open(&hand->fib, &settings, message, sizeof(message)) < 0)
        return complain(hand, EXIT_SYSTEM, message);
    if (fib_is_slow(hand->fib)) {
        state_load(&state, hand->config->state_directory, 0);
        if (address_equal(&state.service, &hand->config->service))
            fib_own(hand->fib, &state.next_hop);
        state_clear(&state);
    }
    return 0;
}

/* Where no table says whose a route is, the state directory does. 0 or an exit code, after one line. */
static int note_owner(const struct by_hand *hand)
{
    char message[512];
    int error;

    if (!fib_is_slow(hand->fib))
        return 0;
    error = state_own_route(hand->config->state_directory, &hand->config->service, fib_owned(hand->fib));
    if (error == 0)
        return 0;
    snprintf(message, sizeof(message), "done, but it cannot be noted in %s whose the route is: %s",
             hand->config->state_directory, own_error_text(error));
    return complain(hand, EXIT_SYSTEM, message);
}

/* The host route that stands there; 0 or -ESRCH. */
static int standing_route(const struct by_hand *hand, struct fib_route *route)
{
    size_t count = 1;
    int error = fib_get(hand->fib, &hand->config->service, route, &count);

    return error < 0 ? error : count == 0 ? -ESRCH : 0;
}

static const char by_hand_codes[] =
    "Exit code: 0 done (a warning says what may surprise), 1 the agent runs, 3 bad arguments or\n"
    "configuration, 4 system error.\n";

static cJSON *route_json(const struct fib_route *route)
{
    cJSON *json = cJSON_CreateObject();
    char interface[IF_NAMESIZE] = "";

    cJSON_AddStringToObject(json, "service", ADDRESS_TEXT(&route->destination));
    cJSON_AddStringToObject(json, "next_hop",
                            address_is_set(&route->gateway) ? ADDRESS_TEXT(&route->gateway) : "");
    cJSON_AddStringToObject(json, "interface", if_indextoname(route->ifindex, interface) ? interface : "");
    cJSON_AddNumberToObject(json, "table", route->table);
    cJSON_AddNumberToObject(json, "metric", route->metric);
    cJSON_AddNumberToObject(json, "protocol", route->protocol);
    return json;
}

/* Runs to the end of a sweep of one target. 0, or a negative errno without a result. */
static int run_sweep(struct probe_sweep *sweep, struct probe_result *result)
{
    int error = 0;

    while (!error && !probe_sweep_done(sweep)) {
        error = front_end_step(probe_sweep_front(sweep), NEVER_NS);
        while (probe_sweep_next(sweep, result)) {
            /* there is one */
        }
    }
    return error;
}

/* Pings it, for a window at most: nothing in text when it answers, else what that means. */
static void ask_next_hop(const struct config_probe *probe, const struct address *to, char *text,
                         size_t size_bytes)
{
    struct probe_settings settings = probe_settings_default();
    CLEANUP(probe_sweep_free) struct probe_sweep *sweep = NULL;
    struct probe_result result = {.outcome = PROBE_TIMEOUT};
    char why[256] = "";
    uint32_t index;
    int error;

    settings.select_timeout_ns = probe->select_timeout_ns;
    settings.select_count = probe->select_count;
    settings.payload_bytes = probe->payload_bytes;
    text[0] = '\0';
    error = probe_sweep_new(&sweep, &settings, why, sizeof(why));
    if (!error)
        error = probe_sweep_add(sweep, to, &index);
    if (!error)
        error = run_sweep(sweep, &result);
    if (error)
        snprintf(text, size_bytes, "nobody knows whether %s answers: %s", ADDRESS_TEXT(to),
                 why[0] ? why : strerror(-error));
    else if (result.outcome != PROBE_REPLY)
        snprintf(text, size_bytes, "%s does not answer pings (%s): what is sent to the service is lost there",
                 ADDRESS_TEXT(to),
                 probe_reason_text(result.outcome, &result.error,
                                   probe->select_timeout_ns * probe->select_count, why, sizeof(why)));
}

static int go_to(struct by_hand *hand, const struct address *to)
{
    struct fib_route standing, shadow = {0};
    struct address source;
    const char *wanted = hand->config->route.reset_connections;
    const struct fib_connections connections = {
        .peer = &hand->config->service, .which = connections_which(wanted), .source = &source};
    char text[160], message[400], warning[400];
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
    if (strcmp(wanted, "none") != 0)
        fib_reset_connections(hand->fib, &connections, &count);
    error = note_owner(hand);
    if (error)
        return error;
    if (standing_route(hand, &standing) < 0)
        return complain(hand, EXIT_SYSTEM, "the route is gone again: somebody else removed it");
    snprintf(message, sizeof(message), "%s; %u connections reset",
             TEXT(fib_route_text(&standing, text, sizeof(text))), count);
    ask_next_hop(&hand->config->probe, to, warning, sizeof(warning));
    answer_done(hand->name, hand->json, message, warning[0] ? warning : NULL, route_json(&standing));
    return 0;
}

static int clear(struct by_hand *hand, bool adopted)
{
    struct fib_route standing;
    char text[160], message[400];
    bool stands = standing_route(hand, &standing) == 0;
    int error = fib_remove(hand->fib, &hand->config->service, adopted && stands ? &standing : NULL);
    const char *what = error ? "no route of ours was there" : "the route is removed";

    if (error < 0 && error != -ESRCH)
        return complain(hand, EXIT_SYSTEM, fib_error(hand->fib));
    error = note_owner(hand);
    if (error)
        return error;
    stands = standing_route(hand, &standing) == 0;
    if (stands)
        snprintf(message, sizeof(message), "%s\nstill there: %s%s", what,
                 TEXT(fib_route_text(&standing, text, sizeof(text))),
                 adopted ? "" : " (not ours; --adopted removes it)");
    answer_done(hand->name, hand->json, stands && !hand->json ? message : what, NULL,
                stands ? route_json(&standing) : cJSON_CreateNull());
    return 0;
}

int command_route(int argc, char **argv)
{
    struct by_hand hand = {.name = argv[0], .lock = {.name_fd = -1, .file_fd = -1}};
    const char *config_path = CONFIG_PATH_DEFAULT, *to_text = NULL;
    const struct option_row rows[] = {
        {.name = "to", .argument = "ADDRESS", .help = "the next hop; must be on-link", .value = &to_text},
        OPTION_CONFIG(&config_path),
        OPTION_JSON(&hand.json, "reroute.answer/1, with the route as it stands"),
        {0},
    };
    const struct command_line line = {
        .about = "Points the route to the service at an address, once. Refused while the agent runs.\n",
        .rows = rows,
        .after = by_hand_codes,
    };
    struct address to;
    int code = options_parse(&line, argc, argv);

    if (code <= 0)
        return code ? EXIT_USAGE : 0;
    if (!to_text)
        return options_complain(argv[0], "--to ADDRESS is missing: where is the route to lead?");
    if (address_parse(&to, to_text) < 0)
        return options_complain(argv[0], "--to '%s': expected an IPv4 or IPv6 address", to_text);
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
    struct by_hand hand = {.name = argv[0], .lock = {.name_fd = -1, .file_fd = -1}};
    const char *config_path = CONFIG_PATH_DEFAULT;
    bool adopted = false;
    const struct option_row rows[] = {
        {.name = "adopted",
         .help = "also a host route to the service that somebody else made",
         .flag = &adopted},
        OPTION_CONFIG(&config_path),
        OPTION_JSON(&hand.json, "reroute.answer/1, with the route that still stands"),
        {0},
    };
    const struct command_line line = {
        .about = "Removes our route to the service. Refused while the agent runs.\n",
        .rows = rows,
        .after = by_hand_codes,
    };
    int code = options_parse(&line, argc, argv);

    if (code <= 0)
        return code ? EXIT_USAGE : 0;
    code = open_by_hand(&hand, config_path);
    if (!code)
        code = clear(&hand, adopted);
    close_by_hand(&hand);
    return code;
}
