/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/keeper/memory_fib.h"

#include <criterion/criterion.h>
#include <linux/rtnetlink.h>

struct address memory_address(const char *text)
{
    struct address address = {.family = AF_INET};

    cr_assert_eq(inet_pton(AF_INET, text, address.bytes), 1, "%s", text);
    return address;
}

struct fib_route memory_route(const char *gateway, uint8_t protocol, uint32_t metric)
{
    return (struct fib_route){
        .destination = memory_address("192.168.33.2"),
        .prefix_length = 32,
        .gateway = memory_address(gateway),
        .ifindex = MEMORY_IFINDEX,
        .table = RT_TABLE_MAIN,
        .metric = metric,
        .protocol = protocol,
        .type = RTN_UNICAST,
    };
}

static struct memory_fib *memory_of(struct fib *fib)
{
    return fib->state;
}

/* The error of this call, or 0. */
static int fails(struct fib *fib, struct failure *failure, const char *what)
{
    if (failure->after) {
        failure->after--;
        return 0;
    }
    if (!failure->times)
        return 0;
    failure->times--;
    return fib_fail(fib, failure->times == 0 && failure->last_error ? failure->last_error : failure->error,
                    "%s failed on command", what);
}

static bool same_key(const struct fib_route *a, const struct fib_route *b)
{
    return a->metric == b->metric && a->tos == b->tos && a->table == b->table;
}

static bool same(const struct fib_route *a, const struct fib_route *b)
{
    return same_key(a, b) && a->protocol == b->protocol && address_equal(&a->gateway, &b->gateway) &&
           address_equal(&a->source, &b->source);
}

/* --- what others do --- */

void memory_fib_add(struct memory_fib *memory, const struct fib_route *route)
{
    size_t at = 0;

    cr_assert_lt(memory->count, MEMORY_ROUTES_MAX);
    while (at < memory->count && memory->routes[at].metric <= route->metric)
        at++;
    memmove(&memory->routes[at + 1], &memory->routes[at], (memory->count - at) * sizeof(*route));
    memory->routes[at] = *route;
    memory->count++;
    memory->fib.is_tidy = false;
}

void memory_fib_remove(struct memory_fib *memory, size_t at)
{
    memory->count--;
    memmove(&memory->routes[at], &memory->routes[at + 1], (memory->count - at) * sizeof(*memory->routes));
}

/* --- the backend --- */

/* As a command that hangs. Who is given up is let go, so that the next one is not held up. */
static int wait_until_let_go(struct fib *fib, atomic_uint *begun, atomic_bool *waits,
                             const atomic_bool *given_up)
{
    memory_of(fib)->caller = gettid();
    ++*begun;
    if (!*waits)
        return 0;
    if (!fib->silent_since_ns)
        fib->silent_since_ns = clock_now_ns(CLOCK_MONOTONIC);
    while (*waits && !*given_up)
        usleep(500);
    if (*waits) {
        *waits = false;
        return fib_fail(fib, -ECANCELED, "given up");
    }
    fib->silent_since_ns = 0;
    return 0;
}

static int list(struct fib *fib, const struct address *service, uint8_t protocol, struct fib_route *routes,
                size_t *count)
{
    struct memory_fib *memory = memory_of(fib);
    size_t room = *count;
    int error = wait_until_let_go(fib, &memory->lookups_begun, &memory->lookup_waits, &fib->hurry);

    if (!error)
        error = fails(fib, &memory->list, "the list");
    memory->lists++;
    *count = 0;
    for (size_t i = 0; !error && i < memory->count; i++) {
        if (protocol && memory->routes[i].protocol != protocol)
            continue;
        if (*count < room)
            routes[*count] = memory->routes[i];
        ++*count;
    }
    return error;
}

static int lookup(struct fib *fib, const struct address *destination, uint32_t ifindex,
                  struct fib_route *matched, struct fib_route *taken)
{
    struct memory_fib *memory = memory_of(fib);
    int error = wait_until_let_go(fib, &memory->lookups_begun, &memory->lookup_waits, &fib->hurry);

    if (!error)
        error = fails(fib, &memory->lookup, "the lookup");
    for (size_t i = 0; !error && i < memory->count; i++) {
        if (memory->routes[i].tos)
            continue;
        *matched = *taken = memory->routes[i];
        if (!address_is_set(&taken->source))
            taken->source = memory_address("10.0.0.1");
        if (address_is_set(&memory->detour) && address_equal(&taken->gateway, &memory->detoured)) {
            taken->gateway = memory->detour;
            taken->redirected = true;
        }
        return 0;
    }
    return error ? error : -ENETUNREACH;
}

static int put(struct fib *fib, const struct fib_route *route, const struct fib_route *instead)
{
    struct memory_fib *memory = memory_of(fib);
    int error = wait_until_let_go(fib, &memory->puts_begun, &memory->put_waits, &fib->ending);
    size_t at = 0;

    if (!error)
        error = fails(fib, &memory->put, "the put");

    memory->puts++;
    if (error)
        return error;
    while (at < memory->count && !same_key(&memory->routes[at], route))
        at++;
    for (size_t i = at; i < memory->count; i++)
        if (same_key(&memory->routes[i], route) && (!instead || (i > at && same(&memory->routes[i], route))))
            return -EEXIST;
    if (at == memory->count)
        memory_fib_add(memory, route);
    else
        memory->routes[at] = *route;
    /* What was learnt by a redirect goes with the next hop's data that it hangs on. */
    if (address_is_set(&route->source) && !memory->detour_is_shared)
        memory->detour = (struct address){0};
    return 0;
}

static int drop(struct fib *fib, const struct fib_route *route)
{
    struct memory_fib *memory = memory_of(fib);
    int error = fails(fib, &memory->drop, "the removal");

    for (size_t i = 0; !error && i < memory->count; i++)
        if (same(&memory->routes[i], route)) {
            memory_fib_remove(memory, i);
            return 0;
        }
    return error ? error : -ESRCH;
}

static int forget(struct fib *fib, uint8_t family)
{
    struct memory_fib *memory = memory_of(fib);

    if (memory->forget_error)
        return memory->forget_error;
    memory->detour = (struct address){0};
    return 0;
}

static int load(struct fib *fib, struct fib_host *host)
{
    const struct fib_link link = {
        .ifindex = MEMORY_IFINDEX, .name = "data", .mtu_bytes = 1500, .usable = true};
    int error = fails(fib, &memory_of(fib)->load, "the load");

    return error ? error : fib_host_add_link(host, &link);
}

static bool next_event(struct fib *fib, struct fib_event *event)
{
    return false;
}

static const struct fib_backend quick = {.name = "memory",
                                         .routes = list,
                                         .lookup = lookup,
                                         .put = put,
                                         .drop = drop,
                                         .forget = forget,
                                         .load = load};
static const struct fib_backend slow = {.name = "slow memory",
                                        .slow = true,
                                        .routes = list,
                                        .lookup = lookup,
                                        .put = put,
                                        .drop = drop,
                                        .forget = forget,
                                        .load = load,
                                        .next_event = next_event};

void memory_fib_init(struct memory_fib *memory)
{
    *memory = (struct memory_fib){
        .fib = {.backend = &quick, .table = RT_TABLE_MAIN, .protocol = 213},
    };
    memory->fib.state = memory;
}

void memory_fib_init_slow(struct memory_fib *memory)
{
    memory_fib_init(memory);
    memory->fib.backend = &slow;
}
