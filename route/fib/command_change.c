/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Changes of a FIB by commands. A change counts by two proofs: the command says in its text that it did it, and the table
 * that is read afterwards shows it. When they contradict each other the table is right.
 *
 * Where no command swaps a route, the old one is deleted, with its exact gateway, and the new one is added right after.
 * In between there is no route. When the new one is refused, the old one is put back. When a command does not answer,
 * it is not known what it has done: then nothing more is done, and the next try begins with reading.
 */
#include "route/fib/command_fib.h"

/* --- what stands --- */

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

        if (!command_fib_is_host_route(line, &route->destination) || line->route.metric != route->metric ||
            line->route.tos != route->tos)
            continue;
        standing = command_fib_route(fib, line);
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

/* `route` stands and is the one that was put. What was that before is a stray, if it stands still. */
static void own(struct fib *fib, const struct fib_route *route)
{
    struct fib_route before = *route;

    before.gateway = fib->owned;
    if (address_is_set(&fib->owned) && !address_equal(&fib->owned, &route->gateway) && stands(fib, &before))
        command_fib_add_stray(fib, &before);
    command_fib_forget_stray(fib, route);
    fib->owned = route->gateway;
}

/* --- steps --- */

/* Tells the command. 0: it says that it did it; -EREMOTEIO: it says something else; -EBUSY: not now; or it is not known. */
static int tell(struct fib *fib, enum dialect_verb verb, const struct fib_route *route)
{
    const struct command_fib *state = fib->state;
    struct dialect_order order = {.verb = verb, .route = route};
    struct dialect_arguments arguments = {0};
    char words[FIB_MESSAGE_SIZE / 2], command[128];
    CLEANUP(free) char *output = NULL;
    int status, r = command_fib_run(fib, &order, false, &output, &status);

    if (r < 0)
        return r;
    if (state->dialect->did(&order, output, status)) {
        if (verb == DIALECT_ADD)
            command_fib_add_stray(fib, route); /* until it is seen */
        return 0;
    }
    state->dialect->arguments(&order, &arguments);
    return fib_fail(fib, command_fib_refusal(fib, output, -EREMOTEIO), "%s was refused: %s",
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
    if (command_fib_read_again(fib, old.destination.family) == 0 && stands(fib, &old))
        snprintf(again, sizeof(again), "the old route is back");
    else
        state->removed = old; /* the next try may need it */
    command_fib_forget_stray(fib, &old);
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
    r = command_fib_read_again(fib, route->destination.family);
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
    r = command_fib_read_again(fib, old->destination.family);
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
        command_fib_add_stray(fib, old); /* it was not deleted, whatever was said */
    return r;
}

int command_fib_put(struct fib *fib, const struct fib_route *route, const struct fib_route *instead)
{
    struct command_fib *state = fib->state;
    struct fib_route found;
    bool there;
    size_t count;
    int r = command_fib_know(fib, route->destination.family);

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

int command_fib_drop(struct fib *fib, const struct fib_route *route)
{
    struct command_fib *state = fib->state;
    int r = command_fib_know(fib, route->destination.family);

    if (r < 0)
        return r;
    if (!stands(fib, route))
        return fib_fail(fib, -ESRCH, "%s does not stand", ROUTE_TEXT(route));
    r = remove_old(fib, route);
    state->removed = (struct fib_route){0}; /* on purpose */
    if (r < 0)
        return r;
    r = command_fib_read_again(fib, route->destination.family);
    if (r < 0)
        return r;
    if (stands(fib, route))
        return fib_fail(fib, -EREMOTEIO, "%s was deleted, but the table still shows it", ROUTE_TEXT(route));
    if (address_equal(&fib->owned, &route->gateway))
        fib->owned = (struct address){0};
    command_fib_forget_stray(fib, route);
    return 0;
}
