/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The FIB of systems that have nothing but commands (ESXi: esxcfg-route; or ip), in the words of a dialect.
 *
 * WHAT IS KNOWN is the table as it was last read. A question is answered from it until the owner says that all may have
 * changed (he pulls an event), or it is older than BELIEVED_NS: a switch that follows a look need not read it again.
 * Whatever is wrong with a table that was read, it says nothing: that is an error, and no route is deleted by it.
 *
 * A CHANGE counts by two proofs: the command says in its text that it did it, and the table that is read afterwards
 * shows it. When they contradict each other the table is right.
 *
 * WHERE NO COMMAND SWAPS A ROUTE, the old one is deleted, with its exact gateway, and the new one is added right after.
 * In between there is no route. When the new one is refused, the old one is put back. When a command does not answer,
 * it is not known what it has done: then nothing more is done, and the next try begins with reading.
 *
 * There is no lookup: the longest prefix of the table wins. Of two host routes with the same key nobody knows which one
 * packets take, so the one that is not ours is told. A stray is one of ours that stands beside the one that was put: a
 * command lied, or was killed. It is ours to remove.
 */
#include "route/fib/backend.h"
#include "route/fib/command.h"
#include "route/fib/dialect.h"
#include "route/fib/fib.h"
#include "route/fib/mtus.h"

#include <linux/rtnetlink.h>

#define BELIEVED_NS        (15 * NS_PER_S) /* it is read every ten seconds by who keeps the route */
#define MTUS_NS            (60 * NS_PER_S)
#define TIMEOUT_DEFAULT_NS (45 * NS_PER_S) /* esxcfg-route waits for its lock up to 30 s */

struct command_fib {
    const struct dialect *dialect;
    char *program, *netstack, *mtu_program;
    struct fib_mtus *mtus; /* NULL: they are not asked for */
    uint64_t mtus_ns;      /* when they were last asked for */
    uint64_t timeout_ns;
    fib_hear *hear; /* NULL: nobody listens */
    void *hear_context;
    struct command_runner runner;
    struct text_table table; /* of this family, as it was read at read_ns; 0: it is not known */
    uint8_t family;
    uint64_t read_ns;
    bool doubted;             /* all may have changed since */
    struct fib_route removed; /* for the sake of one that does not stand yet; without destination: none */
    size_t beside;            /* how many others stood at its key */
};

#define ROUTE_TEXT(route) fib_route_text((route), (char[256]){0}, 256)

/* --- open --- */

static void command_backend_close(struct fib *fib)
{
    struct command_fib *state = fib->state;

    text_table_clear(&state->table);
    spare_fds_release(&state->runner.spare);
    free(state->program);
    free(state->netstack);
    free(state->mtu_program);
    free(state);
    fib->state = NULL;
}

static const char *or_empty(const char *text)
{
    return text ? text : "";
}

/* The program that lies beside this one. NULL without memory. */
static char *beside(const char *program, const char *name)
{
    const char *slash = strrchr(program, '/');
    int length = slash ? (int)(slash - program) : 0;
    char *path;

    return asprintf(&path, "%.*s/%s", length, program, name) < 0 ? NULL : path;
}

static int open_dialect(struct fib *fib, const struct fib_settings *settings, const struct dialect *dialect)
{
    const char *program = settings->command && settings->command[0] ? settings->command : dialect->program;
    struct command_fib *state = calloc(1, sizeof(*state));

    if (!state)
        return fib_fail(fib, -ENOMEM, "out of memory");
    fib->state = state;
    state->runner = COMMAND_RUNNER_NEW;
    state->dialect = dialect;
    state->timeout_ns = settings->command_timeout_ns ? settings->command_timeout_ns : TIMEOUT_DEFAULT_NS;
    state->program = strdup(program);
    state->netstack = strdup(or_empty(settings->netstack));
    state->mtus = dialect->mtus ? settings->mtus : NULL;
    state->hear = settings->hear;
    state->hear_context = settings->hear_context;
    if (state->mtus)
        state->mtu_program = beside(program, dialect->mtus);
    if (!dialect->has_metric)
        fib->metric = 0;
    if (!state->program || !state->netstack || (state->mtus && !state->mtu_program)) {
        command_backend_close(fib);
        return fib_fail(fib, -ENOMEM, "out of memory");
    }
    if (access(program, X_OK) < 0) {
        int error = -errno;

        command_backend_close(fib);
        return fib_fail(fib, error, "cannot run the route command %s: %s", program, strerror(-error));
    }
    spare_fds_keep(&state->runner.spare);
    return 0;
}

static int esxcfg_open(struct fib *fib, const struct fib_settings *settings)
{
    return open_dialect(fib, settings, &dialect_esxcfg);
}

static int ip_open(struct fib *fib, const struct fib_settings *settings)
{
    return open_dialect(fib, settings, &dialect_ip);
}

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

/* Runs it. 0 with what it said and how it ended; or an error of which nothing follows. */
static int run(struct fib *fib, struct dialect_order *order, bool may_be_given_up, char **output, int *status)
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

/* --- the table --- */

/* The error for what it says instead of what it was asked for. */
static int refusal(const struct fib *fib, const char *output, int error)
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
        return refusal(fib, output, -EBADMSG);
    }
    r = state->dialect->table(output, order->family, table, why, sizeof(why));
    return r == -EBADMSG ? not_understood(fib, why) : r;
}

static bool is_host_route(const struct text_route *line, const struct address *service)
{
    return line->route.prefix_length == address_size_bytes(service) * 8 &&
           address_equal(&line->route.destination, service);
}

/* Whatever its scope: a table has none. */
static bool is_in_table(const struct text_table *table, const struct fib_stray *stray)
{
    for (size_t i = 0; i < table->count; i++)
        if (is_host_route(&table->routes[i], &stray->destination) &&
            memcmp(table->routes[i].route.gateway.bytes, stray->gateway.bytes,
                   sizeof(stray->gateway.bytes)) == 0)
            return true;
    return false;
}

/* Those that stand no more. */
static void forget_strays(struct fib *fib)
{
    const struct command_fib *state = fib->state;
    size_t kept = 0;

    for (size_t i = 0; i < fib->stray_count; i++)
        if (is_in_table(&state->table, &fib->strays[i]))
            fib->strays[kept++] = fib->strays[i];
    fib->stray_count = kept;
}

/* A table that cannot be read leaves what is known as it was: how much that is worth is the caller's to say. */
static int read_table(struct fib *fib, uint8_t family, bool may_be_given_up)
{
    struct command_fib *state = fib->state;
    struct dialect_order order = {.verb = DIALECT_LIST, .family = family};
    struct text_table table = {0};
    CLEANUP(free) char *output = NULL;
    int status, r = run(fib, &order, may_be_given_up, &output, &status);

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
    forget_strays(fib);
    return 0;
}

/* After a change: what was known is not true any more. */
static int read_again(struct fib *fib, uint8_t family)
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
    if (run(fib, &order, true, &output, &status) < 0 || !state->dialect->did(&order, output, status))
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

static bool is_same(const struct fib_stray *stray, const struct fib_route *route)
{
    return address_equal(&stray->destination, &route->destination) &&
           address_equal(&stray->gateway, &route->gateway);
}

static bool is_stray(const struct fib *fib, const struct fib_route *route)
{
    for (size_t i = 0; i < fib->stray_count; i++)
        if (is_same(&fib->strays[i], route))
            return true;
    return false;
}

static struct fib_route as_route(const struct fib *fib, const struct text_route *line)
{
    struct fib_route route = line->route;

    route.table = fib->table;
    route.ifindex = interface_of(fib, line);
    if (address_is_link_local(&route.gateway))
        route.gateway.scope = route.ifindex;
    if (route.protocol == RTPROT_UNSPEC && address_is_set(&route.gateway) &&
        (address_equal(&route.gateway, &fib->owned) || is_stray(fib, &route)))
        route.protocol = fib->protocol;
    return route;
}

/* What must be known to speak of routes. */
static int know(struct fib *fib, uint8_t family)
{
    int r = fib_know_host(fib);

    return r < 0 ? r : know_table(fib, family);
}

static int command_backend_routes(struct fib *fib, const struct address *service, uint8_t protocol,
                                  struct fib_route *routes, size_t *count)
{
    const struct command_fib *state = fib->state;
    size_t room = *count;
    int r = know(fib, service->family);

    *count = 0;
    for (size_t i = 0; r == 0 && i < state->table.count; i++) {
        struct fib_route route;
        size_t at;

        if (!is_host_route(&state->table.routes[i], service))
            continue;
        route = as_route(fib, &state->table.routes[i]);
        if (protocol && route.protocol != protocol)
            continue;
        at = min_u64(*count, room);
        ++*count;
        for (; at > 0 && route.metric < routes[at - 1].metric; at--)
            if (at < room)
                routes[at] = routes[at - 1];
        if (at < room)
            routes[at] = route;
    }
    return r;
}

/* Does a packet take the first one rather than the second? */
static bool is_taken_before(const struct fib *fib, const struct fib_route *a, const struct fib_route *b)
{
    const struct command_fib *state = fib->state;

    if (a->prefix_length != b->prefix_length)
        return a->prefix_length > b->prefix_length;
    if (a->metric != b->metric)
        return a->metric < b->metric;
    return !state->dialect->ordered && a->protocol != fib->protocol && b->protocol == fib->protocol;
}

static int command_backend_lookup(struct fib *fib, const struct address *destination, uint32_t ifindex,
                                  struct fib_route *matched, struct fib_route *taken)
{
    const struct command_fib *state = fib->state;
    int r = know(fib, destination->family);

    memset(matched, 0, sizeof(*matched));
    for (size_t i = 0; r == 0 && i < state->table.count; i++) {
        const struct text_route *line = &state->table.routes[i];
        struct fib_route route;

        if (line->route.tos ||
            !fib_prefix_covers(&line->route.destination, line->route.prefix_length, destination))
            continue;
        route = as_route(fib, line);
        if ((!ifindex || route.ifindex == ifindex) &&
            (!address_is_set(&matched->destination) || is_taken_before(fib, &route, matched)))
            *matched = route;
    }
    if (r == 0 && !address_is_set(&matched->destination))
        return fib_fail(fib, -ENETUNREACH, "no way to %s", ADDRESS_TEXT(destination));
    if (r == 0 && taken)
        *taken = *matched;
    return r;
}

/* --- changes --- */

static bool same_hop(const struct fib *fib, const struct fib_route *a, const struct fib_route *b)
{
    const struct command_fib *state = fib->state;

    return address_equal(&a->gateway, &b->gateway) && a->type == b->type &&
           (!state->dialect->names_interface || a->ifindex == b->ifindex);
}

/* The first route at the key of this one, in *found. *there: one at its key goes the same way. Returns how many. */
static size_t at_key(const struct fib *fib, const struct fib_route *route, struct fib_route *found,
                     bool *there)
{
    const struct command_fib *state = fib->state;
    size_t count = 0;

    *there = false;
    memset(found, 0, sizeof(*found));
    for (size_t i = 0; i < state->table.count; i++) {
        const struct text_route *line = &state->table.routes[i];
        struct fib_route standing;

        if (!is_host_route(line, &route->destination) || line->route.metric != route->metric ||
            line->route.tos != route->tos)
            continue;
        standing = as_route(fib, line);
        if (count++ == 0)
            *found = standing;
        *there = *there || same_hop(fib, &standing, route);
    }
    return count;
}

static bool stands(const struct fib *fib, const struct fib_route *route)
{
    struct fib_route found;
    bool there;

    at_key(fib, route, &found, &there);
    return there;
}

/* --- whose they are --- */

static void add_stray(struct fib *fib, const struct fib_route *route)
{
    if (fib->stray_count < FIB_STRAYS_MAX && !is_stray(fib, route))
        fib->strays[fib->stray_count++] = (struct fib_stray){route->destination, route->gateway};
}

static void forget_stray(struct fib *fib, const struct fib_route *route)
{
    size_t kept = 0;

    for (size_t i = 0; i < fib->stray_count; i++)
        if (!is_same(&fib->strays[i], route))
            fib->strays[kept++] = fib->strays[i];
    fib->stray_count = kept;
}

/* `route` stands and is the one that was put. What was that before is a stray, if it stands still. */
static void own(struct fib *fib, const struct fib_route *route)
{
    struct fib_route before = *route;

    before.gateway = fib->owned;
    if (address_is_set(&fib->owned) && !address_equal(&fib->owned, &route->gateway) && stands(fib, &before))
        add_stray(fib, &before);
    forget_stray(fib, route);
    fib->owned = route->gateway;
}

/* Tells the command. 0: it says that it did it; -EREMOTEIO: it says something else; -EBUSY: not now; or it is not known. */
static int tell(struct fib *fib, enum dialect_verb verb, const struct fib_route *route)
{
    struct command_fib *state = fib->state;
    struct dialect_order order = {.verb = verb, .route = route};
    struct dialect_arguments arguments = {0};
    char words[FIB_MESSAGE_SIZE / 2], command[128];
    CLEANUP(free) char *output = NULL;
    int status, r = run(fib, &order, false, &output, &status);

    state->read_ns = 0;
    if (r < 0)
        return r;
    if (state->dialect->did(&order, output, status)) {
        if (verb == DIALECT_ADD)
            add_stray(fib, route); /* until it is seen */
        return 0;
    }
    state->dialect->arguments(&order, &arguments);
    return fib_fail(fib, refusal(fib, output, -EREMOTEIO), "%s was refused: %s",
                    dialect_text(&arguments, command, sizeof(command)),
                    text_one_line(output, words, sizeof(words)));
}

/* What was removed stands again, or it is said that it does not. Keeps the message of what failed before. */
static void put_back(struct fib *fib)
{
    struct command_fib *state = fib->state;
    struct fib_route old = state->removed, found;
    char message[FIB_MESSAGE_SIZE], again[FIB_MESSAGE_SIZE];
    bool there;

    state->removed = (struct fib_route){0};
    if (!address_is_set(&old.destination) || at_key(fib, &old, &found, &there) > state->beside)
        return; /* none was removed, or there is a new one */
    memcpy(message, fib->message, sizeof(message));
    if (tell(fib, DIALECT_ADD, &old) == 0)
        fib_fail(fib, 0, "the table does not show it");
    snprintf(again, sizeof(again), "%s", fib->message);
    if (read_again(fib, old.destination.family) == 0 && stands(fib, &old))
        snprintf(again, sizeof(again), "the old route is back");
    else
        state->removed = old; /* the next try may need it */
    forget_stray(fib, &old);
    fib_fail(fib, 0, "%.*s; %s", FIB_MESSAGE_SIZE / 2, message, again); /* cut where it is too long */
}

/* The table after a change. 0: `route` stands, whatever the command said (`told`). */
static int confirm(struct fib *fib, const struct fib_route *route, int told)
{
    struct command_fib *state = fib->state;
    char message[FIB_MESSAGE_SIZE];
    int r;

    if (told < 0 && told != -EREMOTEIO)
        return told;
    memcpy(message, fib->message, sizeof(message));
    r = read_again(fib, route->destination.family);
    if (r < 0)
        return r;
    if (stands(fib, route)) {
        own(fib, route);
        state->removed = (struct fib_route){0};
        return 0;
    }
    if (told == 0)
        return fib_fail(fib, -EREMOTEIO, "%s was accepted, but the table does not show it",
                        ROUTE_TEXT(route));
    return fib_fail(fib, told, "%s", message);
}

/*
 * Deletes the old route. 0: it stands no more. -EBUSY: another one stands there by now, so that all begins anew.
 * -EREMOTEIO: it was refused, and the table still shows the old one.
 */
static int remove_old(struct fib *fib, const struct fib_route *old)
{
    struct command_fib *state = fib->state;
    char message[FIB_MESSAGE_SIZE];
    struct fib_route found;
    bool there;
    int r;

    state->beside = at_key(fib, old, &found, &there) - 1;
    r = tell(fib, DIALECT_DELETE, old);
    if (r == 0)
        state->removed = *old;
    if (r != -EREMOTEIO)
        return r;
    memcpy(message, fib->message, sizeof(message));
    r = read_again(fib, old->destination.family);
    if (r < 0)
        return r;
    if (at_key(fib, old, &found, &there) > state->beside)
        return there ? fib_fail(fib, -EREMOTEIO, "%s", message)
                     : fib_fail(fib, -EBUSY, "%s stands there by now", ROUTE_TEXT(&found));
    state->removed = *old; /* it did it, or somebody else: it goes back if the new one cannot stand */
    return 0;
}

/* Delete, add, read, and put back what was there if that was in vain. old: NULL: there was none. */
static int exchange(struct fib *fib, const struct fib_route *old, const struct fib_route *route)
{
    int r = old ? remove_old(fib, old) : 0;

    if (r < 0)
        return r;
    r = confirm(fib, route, tell(fib, DIALECT_ADD, route));
    if (r == -EREMOTEIO)
        put_back(fib);
    if (r == 0 && old && stands(fib, old))
        add_stray(fib, old); /* it was not deleted, whatever was said */
    return r;
}

static int command_backend_put(struct fib *fib, const struct fib_route *route,
                               const struct fib_route *instead)
{
    struct command_fib *state = fib->state;
    struct fib_route found;
    bool there;
    size_t count;
    int r = know(fib, route->destination.family);

    if (r < 0)
        return r;
    count = at_key(fib, route, &found, &there);
    if (count > 1)
        fib->is_tidy = false;
    if (!instead && count > 0)
        return fib_fail(fib, -EEXIST, "%s stands already", ROUTE_TEXT(&found));
    if (there) {
        state->removed = (struct fib_route){0};
        own(fib, route); /* who puts it takes it over, as a command cannot mark it anew */
        return 0;
    }
    if (!state->dialect->replaces)
        return exchange(fib, instead && stands(fib, instead) ? instead : NULL, route);
    return confirm(fib, route, tell(fib, DIALECT_REPLACE, route));
}

static int command_backend_drop(struct fib *fib, const struct fib_route *route)
{
    struct command_fib *state = fib->state;
    int r = know(fib, route->destination.family);

    if (r < 0)
        return r;
    if (!stands(fib, route))
        return fib_fail(fib, -ESRCH, "%s does not stand", ROUTE_TEXT(route));
    r = remove_old(fib, route);
    state->removed = (struct fib_route){0}; /* on purpose */
    if (r < 0)
        return r;
    r = read_again(fib, route->destination.family);
    if (r < 0)
        return r;
    if (stands(fib, route))
        return fib_fail(fib, -EREMOTEIO, "%s was deleted, but the table still shows it", ROUTE_TEXT(route));
    if (address_equal(&fib->owned, &route->gateway))
        fib->owned = (struct address){0};
    forget_stray(fib, route);
    return 0;
}

/* The system does not tell of anything that it has learnt. */
static int command_backend_forget(struct fib *fib, uint8_t family)
{
    return -EOPNOTSUPP;
}

/* --- the host --- */

static int command_backend_load(struct fib *fib, struct fib_host *host)
{
    struct command_fib *state = fib->state;
    int r;

    spare_fds_release(&state->runner.spare); /* it takes a descriptor too */
    r = fib_host_read(host);
    spare_fds_keep(&state->runner.spare);
    if (r == 0 && state->mtus)
        fib_mtus_apply(state->mtus, host);
    return r < 0 ? fib_fail(fib, r, "cannot list interfaces and addresses: %s", strerror(-r)) : 0;
}

static int command_backend_fd(const struct fib *fib)
{
    return -1;
}

static bool command_backend_next_event(struct fib *fib, struct fib_event *event)
{
    struct command_fib *state = fib->state;

    state->doubted = true;
    fib->host_is_known = false;
    return false;
}

/* --- the two of them: they differ in what they open --- */

#define BY_COMMAND(name_, open_, exact_)                                                                   \
    {                                                                                                      \
        .name = (name_), .slow = true, .exact = (exact_), .open = (open_), .close = command_backend_close, \
        .routes = command_backend_routes, .lookup = command_backend_lookup, .put = command_backend_put,    \
        .forget = command_backend_forget, .drop = command_backend_drop, .load = command_backend_load,      \
        .fd = command_backend_fd, .next_event = command_backend_next_event,                                \
        .reset_connections = fib_reset_by_diag,                                                            \
    }

const struct fib_backend fib_backend_esxcfg = BY_COMMAND("esxcfg", esxcfg_open, true);
const struct fib_backend fib_backend_ip = BY_COMMAND("ip", ip_open, false);
