/* SPDX-License-Identifier: Apache-2.0 */
#include "route/agent/tcp_watch.h"

#include "route/log.h"

#define LIST_SOON_NS  (2 * NS_PER_S)
#define LIST_USUAL_NS (10 * NS_PER_S)

static void take_samples(struct tcp_watch *watch, const struct witness_path *path, uint64_t now_ns)
{
    struct fib_tcp_socket sockets[FIB_TCP_MAX];
    struct witness_sample samples[FIB_TCP_MAX];
    size_t before = watch->witness.count, count = fib_tcp_sockets(watch->tcp, sockets);

    for (size_t i = 0; i < count; i++)
        samples[i] = (struct witness_sample){.cookie = sockets[i].cookie,
                                             .acked_bytes = sockets[i].acked_bytes,
                                             .waiting = sockets[i].unacked > 0,
                                             .retransmits = sockets[i].retransmits};
    witness_look(&watch->witness, samples, count, path, now_ns);
    if (count == 0 || count < before)
        watch->list_ns = min_u64(watch->list_ns, now_ns + LIST_SOON_NS);
}

static int list(struct tcp_watch *watch, const struct address *service)
{
    int error = watch->tcp ? 0 : fib_tcp_open(&watch->tcp, service);

    return error ? error : fib_tcp_list(watch->tcp);
}

static void look(struct tcp_watch *watch, const struct tcp_watch_host *host, uint64_t now_ns)
{
    bool listing = now_ns >= watch->list_ns;
    int error;

    if (!listing && (now_ns < watch->look_ns || !watch->tcp))
        return;
    error = listing ? list(watch, host->service) : fib_tcp_look(watch->tcp);
    if (listing)
        watch->list_ns = now_ns + (error ? LIST_SOON_NS : LIST_USUAL_NS);
    watch->look_ns = now_ns + host->path.select_timeout_ns / 2;
    if (error < 0 && error != watch->error)
        log_event(LOG_LEVEL_WARN, "no-witness", "error=%s hint=%s", LOG_QUOTE(strerror(-error)),
                  LOG_QUOTE("lost pings are not compared with the host's own connections to the service"));
    watch->error = error;
    watch->lacking = error == -EOPNOTSUPP;
    if (error == 0)
        take_samples(watch, &host->path, now_ns);
}

static void note_hop(struct tcp_watch *watch, const struct address *hop, uint64_t now_ns)
{
    static const struct address none = {0};

    hop = hop ? hop : &none;
    /* The first one stood already. */
    if (!address_equal(&watch->hop, hop) && (address_is_set(&watch->hop) || watch->witness.moved_ns))
        witness_moved(&watch->witness, now_ns);
    watch->hop = *hop;
}

void tcp_watch_step(struct tcp_watch *watch, const struct tcp_watch_host *host, uint64_t now_ns)
{
    note_hop(watch, host->hop, now_ns);
    if (!watch->lacking && host->hop)
        look(watch, host, now_ns);
    watch->verdict = witness_judge(&watch->witness, &host->path, now_ns);
    if (!host->ours)
        watch->verdict = (struct witness_verdict){.says = WITNESS_NONE};
}

void tcp_watch_close(struct tcp_watch *watch)
{
    watch->tcp = fib_tcp_close(watch->tcp);
}

size_t tcp_watch_waiting(const struct tcp_watch *watch)
{
    size_t waiting = 0;

    for (size_t i = 0; i < watch->witness.count; i++)
        waiting += watch->witness.connections[i].waiting_ns != 0;
    return waiting;
}
