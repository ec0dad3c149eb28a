/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/command/try_route.h"

#include <signal.h>

#include "probe/text.h"
#include "route/config/config.h"
#include "route/fib/table_text.h"
#include "tools/exit_code.h"

#define ROUTE_TEXT(route) fib_route_text((route), (char[256]){0}, 256)

/* --- what is to be tried -------------------------------------------------------------------------------- */

static int parse_gateway(struct try_route *route, const char *text, char *message, size_t size_bytes)
{
    struct address *gateway = &route->gateways[route->gateway_count];

    if (address_parse(gateway, text) < 0 || gateway->family != route->address.family) {
        snprintf(message, size_bytes, "via '%s': expected an address of the family of %s", text,
                 ADDRESS_TEXT(&route->address));
        return -EINVAL;
    }
    if (route->gateway_count++ > 0 && address_equal(gateway, &route->gateways[0])) {
        snprintf(message, size_bytes, "via '%s': that is the first gateway again; leave it out", text);
        return -EINVAL;
    }
    return 0;
}

int try_route_parse(struct try_route *route, const char *address, int count, char *const *operands,
                    char *message, size_t size_bytes)
{
    const char *flaw;
    uint8_t length = 0;
    int r = 0;

    if (text_prefix(address, strchr(address, ':') ? AF_INET6 : AF_INET, &route->address, &length) < 0 ||
        length != 8 * address_size_bytes(&route->address) || strcmp(address, "default") == 0) {
        snprintf(message, size_bytes, "--try-route '%s': expected one address, such as 192.0.2.1/32",
                 address);
        return -EINVAL;
    }
    flaw = config_address_flaw(&route->address, false);
    if (flaw) {
        snprintf(message, size_bytes, "--try-route '%s': %s, expected one such as 192.0.2.1/32", address,
                 flaw);
        return -EINVAL;
    }
    if (count < 2 || strcmp(operands[0], "via") != 0) {
        snprintf(message, size_bytes, "--try-route %s: expected 'via' and a gateway behind it", address);
        return -EINVAL;
    }
    for (int i = 1; r == 0 && i < count; i++)
        r = parse_gateway(route, operands[i], message, size_bytes);
    return r;
}

static int refuse_gateway(const struct address *gateway, int egress, char *message, size_t size_bytes)
{
    if (egress != -EADDRINUSE && egress != -ENETUNREACH)
        return 0;
    snprintf(message, size_bytes, "via %s: %s", ADDRESS_TEXT(gateway),
             egress == -EADDRINUSE ? "is an address of this host"
                                   : "no connected network of this host holds it");
    return EXIT_USAGE;
}

int try_route_refuse(const struct try_route *route, const struct try_facts *facts, char *message,
                     size_t size_bytes)
{
    const char *why = NULL;
    int code = 0;

    if (address_equal(&route->address, &route->service))
        why = "is the service of the configuration";
    else if (facts->address == -EADDRINUSE)
        why = "is an address of this host";
    else if (facts->address == 0)
        why = "is in a network that this host is connected to: somebody there may have it";
    if (why) {
        snprintf(message, size_bytes, "--try-route: %s %s", ADDRESS_TEXT(&route->address), why);
        return EXIT_USAGE;
    }
    for (size_t i = 0; !code && i < route->gateway_count; i++)
        code = refuse_gateway(&route->gateways[i], facts->gateways[i], message, size_bytes);
    if (code || !facts->standing)
        return code;
    snprintf(message, size_bytes, "--try-route: %s has a route of its own already: %s",
             ADDRESS_TEXT(&route->address), ROUTE_TEXT(facts->standing));
    return EXIT_NOT_ALL;
}

/* --- signals -------------------------------------------------------------------------------------------- */

static volatile sig_atomic_t signals;
static struct fib *volatile signalled; /* whose command is given up */

static void on_signal(int number)
{
    struct fib *fib = signalled;

    signals++;
    if (fib)
        fib_end(fib);
}

static void catch_signals(void)
{
    static const int numbers[] = {SIGINT, SIGTERM, SIGHUP};
    const struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
    struct sigaction before;

    for (size_t i = 0; i < ARRAY_SIZE(numbers); i++)
        if (sigaction(numbers[i], NULL, &before) == 0 && before.sa_handler != SIG_IGN)
            sigaction(numbers[i], &action, NULL);
    signal(SIGPIPE, SIG_IGN); /* who reads of it may go; the route may not stay */
}

/* --- steps ---------------------------------------------------------------------------------------------- */

/* A fib_hear. */
static void on_command(void *context, const struct fib_heard *heard)
{
    struct try_run *run = context;
    struct try_command *command = &run->commands[run->command_count];

    if (run->command_count == TRY_COMMANDS_MAX)
        return;
    run->command_count++;
    command->command = strdup(heard->command);
    command->output = heard->output ? strndup(heard->output, TRY_OUTPUT_BYTES) : NULL;
    command->cut = heard->output && strlen(heard->output) > TRY_OUTPUT_BYTES;
    command->error = heard->error;
    command->status = heard->status;
    command->took_ns = heard->took_ns;
}

static void close_fib(struct try_run *run)
{
    signalled = NULL;
    run->fib = fib_close(run->fib);
}

static int step_open(struct try_run *run, struct try_step *step)
{
    struct fib_settings settings = run->route->settings;
    int r;

    settings.hear = on_command;
    settings.hear_context = run;
    r = fib_open(&run->fib, &settings, step->message, sizeof(step->message));
    if (r < 0)
        return r;
    run->backend = fib_backend_name(run->fib);
    signalled = run->fib;
    return 0;
}

/* The host route as it stands now, whatever was known before. *count: how many there are. */
static int look(struct try_run *run, struct fib_route *route, size_t *count)
{
    struct fib_event event;

    while (fib_next_event(run->fib, &event)) {
        /* Only that everything may have changed is of interest. */
    }
    *count = 1;
    return fib_get(run->fib, &run->route->address, route, count);
}

static int step_absent(struct try_run *run, struct try_step *step)
{
    size_t count;
    int r = look(run, &run->standing, &count);

    if (r < 0 || count == 0)
        return r;
    snprintf(step->message, sizeof(step->message), "it stands: %s", ROUTE_TEXT(&run->standing));
    return -EEXIST;
}

static int go_to(struct try_run *run, const struct address *gateway)
{
    struct fib_route shadow;
    struct address source;
    uint32_t ifindex;
    int r = fib_egress(run->fib, gateway, &ifindex, &source);

    return r < 0 ? r : fib_replace(run->fib, &run->route->address, gateway, ifindex, NULL, &shadow);
}

static int step_add(struct try_run *run, struct try_step *step)
{
    return go_to(run, &run->route->gateways[0]);
}

static const struct address *last_gateway(const struct try_route *route)
{
    return &route->gateways[route->gateway_count - 1];
}

static int step_change(struct try_run *run, struct try_step *step)
{
    int r = go_to(run, last_gateway(run->route));

    if (r == 0 && run->route->gateway_count == 1)
        snprintf(step->message, sizeof(step->message), "to the same gateway: nothing is to be done");
    return r;
}

static int see(struct try_run *run, struct try_step *step, const struct address *gateway)
{
    struct fib_route route;
    size_t count;
    int r = look(run, &route, &count);

    if (r < 0)
        return r;
    snprintf(step->message, sizeof(step->message), "%s", count ? ROUTE_TEXT(&route) : "no route stands");
    return count == 0 ? -ESRCH : count > 1 || !address_equal(&route.gateway, gateway) ? -EEXIST : 0;
}

static int step_added(struct try_run *run, struct try_step *step)
{
    return see(run, step, &run->route->gateways[0]);
}

static int step_changed(struct try_run *run, struct try_step *step)
{
    return see(run, step, last_gateway(run->route));
}

static int step_delete(struct try_run *run, struct try_step *step)
{
    return fib_remove(run->fib, &run->route->address, NULL);
}

/* By a FIB of its own: of the one before every command may be given up by now. */
static int step_clean_up(struct try_run *run, struct try_step *step)
{
    int r;

    close_fib(run);
    r = step_open(run, step);
    for (size_t i = 0; r == 0 && i < run->route->gateway_count; i++) {
        fib_own(run->fib, &run->route->gateways[i]);
        r = fib_remove(run->fib, &run->route->address, NULL);
        r = r == -ESRCH ? 0 : r;
    }
    return r < 0 ? r : step_absent(run, step);
}

typedef int step_function(struct try_run *run, struct try_step *step);

static int take_step(struct try_run *run, const char *name, step_function *take)
{
    struct try_step *step = &run->steps[run->step_count++];
    uint64_t began_ns = clock_now_ns(CLOCK_MONOTONIC);

    *step = (struct try_step){.name = name, .first = run->command_count};
    step->error = take(run, step);
    step->took_ns = clock_now_ns(CLOCK_MONOTONIC) - began_ns;
    step->count = run->command_count - step->first;
    if (step->error < 0 && !step->message[0] && run->fib)
        snprintf(step->message, sizeof(step->message), "%s", fib_error(run->fib));
    if (run->show)
        run->show(run, step);
    return step->error;
}

/* --- the cycle ------------------------------------------------------------------------------------------ */

static const struct {
    const char *name;
    step_function *take;
} cycle[] = {
    {"add", step_add},         {"added", step_added},   {"change", step_change},
    {"changed", step_changed}, {"delete", step_delete}, {"absent", step_absent},
};

/* 0 or an exit code: must these addresses be left alone? What the host does not say is found out by the steps. */
static int look_before(struct try_run *run, char *message, size_t size_bytes)
{
    const struct try_route *route = run->route;
    struct try_facts facts = {0};
    struct address source;
    uint32_t ifindex;
    int code;

    facts.address = fib_egress(run->fib, &route->address, &ifindex, &source);
    for (size_t i = 0; i < route->gateway_count; i++)
        facts.gateways[i] = fib_egress(run->fib, &route->gateways[i], &ifindex, &source);
    code = try_route_refuse(route, &facts, message, size_bytes);
    if (code || take_step(run, "absent", step_absent) != -EEXIST)
        return code;
    facts.standing = &run->standing;
    return try_route_refuse(route, &facts, message, size_bytes);
}

int try_run_begin(struct try_run *run, const struct try_route *route, char *message, size_t size_bytes)
{
    run->route = route;
    catch_signals();
    return take_step(run, "open", step_open) < 0 ? 0 : look_before(run, message, size_bytes);
}

static void clean_up(struct try_run *run)
{
    int r = -ECANCELED;

    for (int i = 0; r < 0 && i < TRY_CLEAN_UPS_MAX && signals < 2; i++)
        r = take_step(run, "clean up", step_clean_up);
    if (r < 0)
        run->end = TRY_LEFT;
}

void try_run_finish(struct try_run *run)
{
    bool begun = run->steps[run->step_count - 1].error == 0;
    size_t i = 0;

    while (begun && i < ARRAY_SIZE(cycle) && !signals && take_step(run, cycle[i].name, cycle[i].take) == 0)
        i++;
    run->end = i == ARRAY_SIZE(cycle) ? TRY_DONE : signals ? TRY_STOPPED : TRY_FAILED;
    if (begun && run->end != TRY_DONE)
        clean_up(run);
}

void try_run_clear(struct try_run *run)
{
    close_fib(run);
    for (size_t i = 0; i < run->command_count; i++) {
        free(run->commands[i].command);
        free(run->commands[i].output);
    }
    run->command_count = 0;
}
