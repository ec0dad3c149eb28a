/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A failover leaves a way that failed. A client that is connected over it would wait for its retransmissions. So all
 * connections are destroyed right after the move, and their owners connect again over the new way. When that fails it
 * is tried again for RESETS_NS; when it failed for some of them only, what stands still is looked for instead.
 *
 * A planned switch leaves a way that works. So they are destroyed right before the move too: the node that is left
 * hears the reset and forgets its half. Else it keeps that half, and a client that comes back with the same ports meets
 * it. One that connects anew at once can be quicker than the move: what it has at the node that is left stays there.
 * Nothing of this host's can end that, so the selector keeps away from that node for a while (its rule 10), however it
 * was left. iSCSI's are destroyed once only, after the move: an initiator whose connection ends again while it logs in may
 * never log in (open-iscsi, issue 387).
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
#define LEAVE_AGAIN_NS   (60 * NS_PER_S)
#define ISCSI_PORT       3260 /* RFC 7143 section 13 */

static void note_result(struct connections *connections, int error, unsigned count)
{
    if (count)
        log_event(LOG_LEVEL_INFO, "connections-reset", "count=%u", count);
    if (connections->error == -EOPNOTSUPP) /* the kernel will not learn it: said once */
        return;
    if (error < 0 && error != connections->error)
        log_event(LOG_LEVEL_WARN, "connections-reset",
                  "error=%s hint=\"TCP clients wait out their retransmission timer after a switch\"",
                  LOG_QUOTE(strerror(-error)));
    connections->error = error;
}

static int reset(const struct connections_host *host, const struct fib_connections *which, unsigned *count)
{
    int error;

    spare_fds_release(host->spare); /* it opens a socket */
    error = fib_reset_connections(host->fib, which, count);
    spare_fds_keep(host->spare);
    return error;
}

static void look(struct connections *connections, const struct connections_host *host, uint64_t now_ns)
{
    const struct fib_connections which = {
        .peer = host->service, .which = connections->which, .source = host->source};
    unsigned count = 0;
    int error = reset(host, &which, &count);

    note_result(connections, error, count);
    if (error == -EOPNOTSUPP || (connections->which != FIB_STALLED && error == 0))
        connections->looks_end_ns = now_ns;
    if (count)
        connections->which = FIB_STALLED; /* who has connected anew by then is let be */
}

static bool are_wanted(const struct connections_host *host)
{
    return strcmp(host->wanted, "none") != 0;
}

enum fib_which connections_which(const char *wanted)
{
    return strcmp(wanted, "established") == 0 ? FIB_OPEN : FIB_ALL;
}

void connections_leave(struct connections *connections, const struct connections_host *host, uint64_t now_ns)
{
    const struct fib_connections which = {.peer = host->service, .which = FIB_OPEN, .but_port = ISCSI_PORT};
    unsigned count = 0;

    if ((connections->left_ns && now_ns < connections->left_ns + LEAVE_AGAIN_NS) || !are_wanted(host))
        return;
    connections->left_ns = now_ns;
    note_result(connections, reset(host, &which, &count), count);
}

void connections_moved(struct connections *connections, const struct connections_host *host, bool first,
                       uint64_t now_ns)
{
    connections->look_ns = connections->looks_end_ns = 0;
    connections->left_ns = 0;
    if (!are_wanted(host))
        return;
    connections->which = first ? FIB_STALLED : connections_which(host->wanted);
    connections->look_ns = first ? now_ns + LOOK_INTERVAL_NS : now_ns;
    connections->looks_end_ns = now_ns + (first ? LOOKS_NS : RESETS_NS);
    if (!first)
        connections_step(connections, host, now_ns);
}

void connections_step(struct connections *connections, const struct connections_host *host, uint64_t now_ns)
{
    if (!connections->look_ns || now_ns < connections->look_ns)
        return;
    if (host->source)
        look(connections, host, now_ns);
    connections->look_ns = now_ns < connections->looks_end_ns ? now_ns + LOOK_INTERVAL_NS : 0;
}

uint64_t connections_deadline_ns(const struct connections *connections)
{
    return connections->look_ns ? connections->look_ns : NEVER_NS;
}
