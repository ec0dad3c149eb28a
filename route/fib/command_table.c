/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is known is the table as it was last read. A question is answered from it until the owner says that all may have
 * changed (he pulls an event), or it is older than BELIEVED_NS: a switch that follows a look need not read it again.
 * Whatever is wrong with a table that was read, it says nothing: that is an error, and no route is deleted by it.
 *
 * A stray is a route of ours that stands beside the one that was put: a command lied, or was killed. It is ours to
 * remove.
 */
#include "route/fib/command_fib.h"

#include <linux/rtnetlink.h>

#include "route/fib/mtus.h"

#define BELIEVED_NS (15 * NS_PER_S) /* it is read every ten seconds by who keeps the route */
#define MTUS_NS     (60 * NS_PER_S)

/* --- a command --- */

/* One error for what is not known, with its words: why the command said nothing that counts. */
static int unanswered(struct fib *fib, int error, const char *command)
{
    const struct command_fib *state = fib->state;
    double seconds = (double)state->timeout_ns / (double)NS_PER_S;

    switch (error) {
    case -ETIMEDOUT:
        return fib_fail(fib, error, "%s has not answered for %g s, and was killed", command, seconds);
    case -ECANCELED:
        return fib_fail(fib, error, "%s was given up for something urgent", command);
    case -EMSGSIZE:
        return fib_fail(fib, -EBADMSG, "%s prints more than %zu bytes", command, COMMAND_OUTPUT_BYTES);
    case -EBUSY:
        return fib_fail(fib, error, "%s is not run: %d that were killed have not ended", command,
                        COMMANDS_LEFT_MAX);
    default:
        return fib_fail(fib, -EIO, "cannot run %s: %s", command, strerror(-error));
    }
}

int command_fib_run(struct fib *fib, struct dialect_order *order, bool may_be_given_up, char **output,
                    int *status)
{
    struct command_fib *state = fib->state;
    struct dialect_arguments arguments = {0};
    struct command command = {.timeout_ns = state->timeout_ns,
                              .give_up = may_be_given_up ? &fib->hurry : &fib->ending};
    uint64_t begun_ns = clock_now_ns(CLOCK_MONOTONIC);
    uint_least64_t answered = 0;
    bool all_answered;
    char text[256];
    int r;

    order->program = order->verb == DIALECT_MTUS ? state->mtu_program : state->program;
    order->netstack = state->netstack;
    order->table = fib->table;
    state->dialect->arguments(order, &arguments);
    command.arguments = arguments.list;
    all_answered = atomic_compare_exchange_strong(&fib->silent_since_ns, &answered, begun_ns);
    r = command_run(&state->runner, &command, output, status);
    /* One that was given up early may have been about to answer. */
    if (r == -ECANCELED ? all_answered && clock_now_ns(CLOCK_MONOTONIC) - begun_ns < FIB_HANGS_NS
                        : r != -ETIMEDOUT && r != -EBUSY)
        atomic_store(&fib->silent_since_ns, 0);
    if (order->route)
        state->read_ns = 0; /* a change: the table may be another one by now */
    dialect_text(&arguments, text, sizeof(text));
    if (state->hear)
        state->hear(state->hear_context,
                    &(struct fib_heard){.command = text,
                                        .output = *output,
                                        .error = r,
                                        .status = *status,
                                        .took_ns = clock_now_ns(CLOCK_MONOTONIC) - begun_ns});
    return r == 0 ? 0 : unanswered(fib, r, text);
}

/* --- strays --- */

static bool is_same(const struct fib_stray *stray, const struct fib_route *route)
{
    return address_equal(&stray->destination, &route->destination) &&
           address_equal(&stray->gateway, &route->gateway);
}

/* Where this route is among them; their count: it is none of them. */
static size_t find_stray(const struct fib *fib, const struct fib_route *route)
{
    size_t i = 0;

    while (i < fib->stray_count && !is_same(&fib->strays[i], route))
        i++;
    return i;
}

static void remove_stray(struct fib *fib, size_t i)
{
    fib->strays[i] = fib->strays[--fib->stray_count];
}

bool command_fib_is_stray(const struct fib *fib, const struct fib_route *route)
{
    return find_stray(fib, route) < fib->stray_count;
}

void command_fib_add_stray(struct fib *fib, const struct fib_route *route)
{
    if (fib->stray_count < FIB_STRAYS_MAX && !command_fib_is_stray(fib, route))
        fib->strays[fib->stray_count++] = (struct fib_stray){route->destination, route->gateway};
}

void command_fib_forget_stray(struct fib *fib, const struct fib_route *route)
{
    size_t i = find_stray(fib, route);

    if (i < fib->stray_count)
        remove_stray(fib, i);
}

bool command_fib_is_host_route(const struct text_route *line, const struct address *service)
{
    return line->route.prefix_length == address_size_bytes(service) * 8 &&
           address_equal(&line->route.destination, service);
}

/* Whatever its scope: a table has none. */
static bool is_in_table(const struct text_table *table, const struct fib_stray *stray)
{
    for (size_t i = 0; i < table->count; i++)
        if (command_fib_is_host_route(&table->routes[i], &stray->destination) &&
            memcmp(table->routes[i].route.gateway.bytes, stray->gateway.bytes,
                   sizeof(stray->gateway.bytes)) == 0)
            return true;
    return false;
}

/* Those that stand no more are none. */
static void forget_gone_strays(struct fib *fib)
{
    const struct command_fib *state = fib->state;

    for (size_t i = fib->stray_count; i-- > 0;)
        if (!is_in_table(&state->table, &fib->strays[i]))
            remove_stray(fib, i);
}

/* --- the table --- */

int command_fib_refusal(const struct fib *fib, const char *output, int error)
{
    const struct command_fib *state = fib->state;

    return state->dialect->busy && state->dialect->busy(output) ? -EBUSY : error;
}

static int not_understood(struct fib *fib, const char *what)
{
    const struct command_fib *state = fib->state;

    return fib_fail(fib, -EBADMSG, "the table that %s prints is not understood: %s", state->program, what);
}

static int parse(struct fib *fib, const struct dialect_order *order, const char *output, int status,
                 struct text_table *table)
{
    const struct command_fib *state = fib->state;
    char why[FIB_MESSAGE_SIZE / 2], words[FIB_MESSAGE_SIZE / 4];
    int r;

    text_one_line(output, words, sizeof(words));
    if (!state->dialect->did(order, output, status)) {
        snprintf(why, sizeof(why), "it failed, and said: %s", words);
        not_understood(fib, why);
        return command_fib_refusal(fib, output, -EBADMSG);
    }
    r = state->dialect->table(output, order->family, table, why, sizeof(why));
    return r == -EBADMSG ? not_understood(fib, why) : r;
}

/* A table that cannot be read leaves what is known as it was: how much that is worth is the caller's to say. */
static int read_table(struct fib *fib, uint8_t family, bool may_be_given_up)
{
    struct command_fib *state = fib->state;
    struct dialect_order order = {.verb = DIALECT_LIST, .family = family};
    struct text_table table = {0};
    CLEANUP(free) char *output = NULL;
    int status, r = command_fib_run(fib, &order, may_be_given_up, &output, &status);

    if (r == 0)
        r = parse(fib, &order, output, status, &table);
    if (r < 0) {
        text_table_clear(&table);
        return r;
    }
    text_table_clear(&state->table);
    state->table = table;
    state->family = family;
    state->read_ns = clock_now_ns(CLOCK_MONOTONIC);
    state->doubted = false;
    forget_gone_strays(fib);
    return 0;
}

int command_fib_read_again(struct fib *fib, uint8_t family)
{
    struct command_fib *state = fib->state;

    state->read_ns = 0;
    return read_table(fib, family, false);
}

static bool needs_mtus(const struct fib *fib)
{
    for (size_t i = 0; i < fib->host.link_count; i++)
        if (!fib->host.links[i].mtu_bytes)
            return true;
    return false;
}

/* Those that the system does not tell. What the command does not tell either is asked for again after a while. */
static void learn_mtus(struct fib *fib)
{
    struct command_fib *state = fib->state;
    struct dialect_order order = {.verb = DIALECT_MTUS};
    CLEANUP(free) char *output = NULL;
    int status;

    if (!state->mtus || !needs_mtus(fib) ||
        (state->mtus_ns && clock_now_ns(CLOCK_MONOTONIC) - state->mtus_ns < MTUS_NS))
        return;
    state->mtus_ns = clock_now_ns(CLOCK_MONOTONIC);
    if (command_fib_run(fib, &order, true, &output, &status) < 0 ||
        !state->dialect->did(&order, output, status))
        return;
    for (size_t i = 0; i < fib->host.link_count; i++) {
        const char *name = fib->host.links[i].name;
        uint32_t mtu_bytes = state->dialect->mtu(output, name);

        if (mtu_bytes)
            fib_mtus_learn(state->mtus, name, mtu_bytes);
    }
}

static int know_table(struct fib *fib, uint8_t family)
{
    struct command_fib *state = fib->state;
    bool known = state->read_ns && state->family == family &&
                 clock_now_ns(CLOCK_MONOTONIC) - state->read_ns < BELIEVED_NS;
    int r;

    if (known && !state->doubted)
        return 0;
    r = read_table(fib, family, true);
    if (r == 0)
        learn_mtus(fib);
    if (r == -ECANCELED)
        state->doubted = false; /* what is more urgent takes it as it is, if it is not too old */
    return r;
}

int command_fib_know(struct fib *fib, uint8_t family)
{
    int r = fib_know_host(fib);

    return r < 0 ? r : know_table(fib, family);
}

/* --- routes --- */

static uint32_t interface_of(const struct fib *fib, const struct text_route *line)
{
    const struct command_fib *state = fib->state;
    struct address source;
    uint32_t ifindex;

    /* Put through a gateway alone, a route goes where the gateway is on-link. */
    if (!state->dialect->names_interface && address_is_set(&line->route.gateway) &&
        fib_host_egress(&fib->host, &line->route.gateway, &ifindex, &source) == 0)
        return ifindex;
    return line->interface[0] ? if_nametoindex(line->interface) : 0;
}

struct fib_route command_fib_route(const struct fib *fib, const struct text_route *line)
{
    struct fib_route route = line->route;

    route.table = fib->table;
    route.ifindex = interface_of(fib, line);
    if (address_is_link_local(&route.gateway))
        route.gateway.scope = route.ifindex;
    if (route.protocol == RTPROT_UNSPEC && address_is_set(&route.gateway) &&
        (address_equal(&route.gateway, &fib->owned) || command_fib_is_stray(fib, &route)))
        route.protocol = fib->protocol;
    return route;
}
