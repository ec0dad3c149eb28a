/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The FIB of systems that have nothing but commands (ESXi: esxcfg-route; or ip), in the words of a dialect. What is known
 * of the table is command_table.c's, changes are command_change.c's.
 *
 * There is no lookup: the longest prefix of the table wins. Of two host routes with the same key nobody knows which one
 * packets take, so the one that is not ours is told.
 */
#include "route/fib/command_fib.h"
#include "route/fib/mtus.h"

#define TIMEOUT_DEFAULT_NS (45 * NS_PER_S) /* esxcfg-route waits for its lock up to 30 s */

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

/* --- questions --- */

static int command_backend_routes(struct fib *fib, const struct address *service, uint8_t protocol,
                                  struct fib_route *routes, size_t *count)
{
    const struct command_fib *state = fib->state;
    size_t room = *count;
    int r = command_fib_know(fib, service->family);

    *count = 0;
    for (size_t i = 0; r == 0 && i < state->table.count; i++) {
        struct fib_route route;
        size_t at;

        if (!command_fib_is_host_route(&state->table.routes[i], service))
            continue;
        route = command_fib_route(fib, &state->table.routes[i]);
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
    int r = command_fib_know(fib, destination->family);

    memset(matched, 0, sizeof(*matched));
    for (size_t i = 0; r == 0 && i < state->table.count; i++) {
        const struct text_route *line = &state->table.routes[i];
        struct fib_route route;

        if (line->route.tos ||
            !fib_prefix_covers(&line->route.destination, line->route.prefix_length, destination))
            continue;
        route = command_fib_route(fib, line);
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
        .routes = command_backend_routes, .lookup = command_backend_lookup, .put = command_fib_put,        \
        .forget = command_backend_forget, .drop = command_fib_drop, .load = command_backend_load,          \
        .fd = command_backend_fd, .next_event = command_backend_next_event,                                \
        .reset_connections = fib_reset_by_diag,                                                            \
    }

const struct fib_backend fib_backend_esxcfg = BY_COMMAND("esxcfg", esxcfg_open, true);
const struct fib_backend fib_backend_ip = BY_COMMAND("ip", ip_open, false);
