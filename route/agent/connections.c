/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A switch leaves a way that failed. A client that is connected over it would wait for its retransmissions. So all
 * connections are destroyed at once, and their owners connect again over the new way. When that fails it is
 * tried again for RESETS_NS; when it failed for some of them only, what stands still is looked for instead.
 *
 * The first route is different. What is connected by then went another way (a default route), which may work,
 * and a connection may go on over the new one. A mount that is just being made may not outlive the loss of
 * its connection ("Software caused connection abort" was seen, for good). It did outlive it on Linux 6.1
 * while its first call was unanswered, and what is refused or lost at the handshake is tried again; "Network
 * is unreachable" ends it at once. So nothing is destroyed that moves: a node that does not know the connection
 * answers with a reset, which tells the owner too. But where answers do not come back to the address that the
 * connection began with, it stands still. Whatever does, within LOOKS_NS after the first route (an idle NFS
 * client speaks once in a lease, 90 s), is destroyed.
 */
#include "route/agent/connections.h"

#include "route/log.h"

#define LOOK_INTERVAL_NS (1 * NS_PER_S)
#define LOOKS_NS         (120 * NS_PER_S)
#define RESETS_NS        (10 * NS_PER_S)

static void note_result(struct connections *connections, int error, unsigned count)
{
    if (count)
        log_event(LOG_LEVEL_INFO, "connections-reset", "count=%u", count);
    if (error < 0 && error != connections->error)
        log_event(LOG_LEVEL_WARN, "connections-reset",
                  "error=%s hint=\"TCP clients wait out their retransmission timer after a switch\"",
                  LOG_QUOTE(strerror(-error)));
    connections->error = error;
}

static void look(struct connections *connections, struct fib *fib, struct reserve *reserve,
                 const struct address *service, const struct address *source, uint64_t now_ns)
{
    unsigned count = 0;
    int error;

    reserve_release(reserve); /* it opens a socket */
    error = connections->all ? fib_reset_connections(fib, service, &count)
                             : fib_reset_stalled(fib, service, source, &count);
    reserve_keep(reserve);
    note_result(connections, error, count);
    if (error == -EOPNOTSUPP || (connections->all && error == 0))
        connections->looks_end_ns = now_ns;
    if (count)
        connections->all = false; /* who has connected anew by then is let be */
}

void connections_moved(struct connections *connections, struct fib *fib, struct reserve *reserve,
                       const struct address *service, bool first, bool reset, uint64_t now_ns)
{
    connections->look_ns = connections->looks_end_ns = 0;
    if (!reset)
        return;
    connections->all = !first;
    connections->look_ns = first ? now_ns + LOOK_INTERVAL_NS : now_ns;
    connections->looks_end_ns = now_ns + (first ? LOOKS_NS : RESETS_NS);
    if (!first)
        connections_step(connections, fib, reserve, service, service, now_ns);
}

void connections_step(struct connections *connections, struct fib *fib, struct reserve *reserve,
                      const struct address *service, const struct address *source, uint64_t now_ns)
{
    if (!connections->look_ns || now_ns < connections->look_ns)
        return;
    if (source)
        look(connections, fib, reserve, service, source, now_ns);
    connections->look_ns = now_ns < connections->looks_end_ns ? now_ns + LOOK_INTERVAL_NS : 0;
}

uint64_t connections_deadline_ns(const struct connections *connections)
{
    return connections->look_ns ? connections->look_ns : NEVER_NS;
}
