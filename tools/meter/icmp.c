/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The meter's ICMP stream. Echoes are judged in the order in which they were sent, each when its reply is
 * there or its time is over; so replies that overtake each other make no false interruption.
 *
 * It is on purpose no user of probe/: what measures the project should not share its mistakes.
 */
#include "tools/meter/icmp.h"

#include <netinet/ip.h>
#include <netinet/ip_icmp.h>
#include <sys/random.h>

#ifndef ICMP_FILTER
#define ICMP_FILTER 1 /* linux/icmp.h, which cannot be included beside netinet/ip_icmp.h */
#endif

struct echo {
    uint64_t sent_ns;
    uint64_t arrived_ns; /* 0: not yet */
    int error;           /* of the send; 0: sent */
};

struct wire {
    struct icmphdr header;
    uint64_t token;
    uint64_t number;
};

struct meter_icmp {
    const struct meter_settings *set;
    const struct meter_stalls *stalls;
    struct meter_figures figures;
    int fd;
    uint16_t ident;
    uint64_t token;
    struct echo *echoes; /* a ring; number modulo size */
    uint64_t size;
    uint64_t sent, judged; /* numbers: [judged, sent) wait for their verdict */

    bool any_good;
    uint64_t good_sent_ns, good_arrived_ns, good_stalls_ns; /* of the last good echo */
    struct meter_interruption run;                          /* lost echoes since then */
    uint64_t lost, late;
};

static uint16_t checksum(const void *data, size_t size_bytes) /* RFC 1071 */
{
    const uint8_t *p = data;
    uint32_t sum = 0;

    for (size_t i = 0; i + 1 < size_bytes; i += 2)
        sum += (uint32_t)p[i] << 8 | p[i + 1];
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    return htons((uint16_t)~sum);
}

static void send_echo(struct meter_icmp *m)
{
    struct wire wire = {
        .header = {.type = ICMP_ECHO, .un.echo = {.id = m->ident, .sequence = htons((uint16_t)m->sent)}},
        .token = m->token,
        .number = m->sent,
    };
    struct sockaddr_storage to;
    socklen_t size = address_to_sockaddr(&m->set->service, 0, &to);
    struct echo *e = &m->echoes[m->sent++ % m->size];

    wire.header.checksum = checksum(&wire, sizeof(wire));
    *e = (struct echo){.sent_ns = clock_now_ns(CLOCK_MONOTONIC)};
    if (sendto(m->fd, &wire, sizeof(wire), MSG_DONTWAIT, (struct sockaddr *)&to, size) < 0) {
        e->error = errno;
        m->figures.send_errors++;
    } else {
        m->figures.sent++;
    }
}

/* --- verdicts --------------------------------------------------------------------------------------------*/

static void good(struct meter_icmp *m, const struct echo *e)
{
    if (m->any_good) {
        uint64_t silence_ns = sub_sat_u64(e->arrived_ns, m->good_arrived_ns);

        m->figures.longest_silence_ns = max_u64(m->figures.longest_silence_ns, silence_ns);
        if (m->run.lost) {
            m->run.from_ns = m->good_sent_ns;
            m->run.until_ns = e->sent_ns;
            m->run.silence_ns = silence_ns;
            m->run.own_ns = m->stalls->total_ns - m->good_stalls_ns;
            meter_interrupted(&m->figures, &m->run);
        }
    }
    m->run = (struct meter_interruption){0};
    m->any_good = true;
    m->good_sent_ns = e->sent_ns;
    m->good_arrived_ns = e->arrived_ns;
    m->good_stalls_ns = m->stalls->total_ns;
}

static void lost(struct meter_icmp *m, const struct echo *e)
{
    m->run.lost++;
    m->lost += m->any_good; /* before the first good one there was nothing to lose */
    if (e->error) {
        m->run.errors++;
        m->run.error = e->error;
    }
}

static void judge(struct meter_icmp *m, uint64_t now_ns)
{
    for (; m->judged < m->sent; m->judged++) {
        const struct echo *e = &m->echoes[m->judged % m->size];

        if (e->arrived_ns)
            good(m, e);
        else if (e->error || now_ns - e->sent_ns > m->set->wait_ns)
            lost(m, e);
        else
            break;
    }
}

void meter_icmp_tick(struct meter_icmp *m, uint64_t now_ns)
{
    judge(m, now_ns);
    meter_watch(&m->figures, now_ns);
    if (m->sent - m->judged < m->size)
        send_echo(m);
}

/* --- replies ---------------------------------------------------------------------------------------------*/

/* When the kernel took it in, on CLOCK_MONOTONIC: its stamp is wall clock, the age is not. */
static uint64_t arrival_ns(struct msghdr *message)
{
    uint64_t now_ns = clock_now_ns(CLOCK_MONOTONIC), wall_ns = clock_now_ns(CLOCK_REALTIME);

    for (struct cmsghdr *c = CMSG_FIRSTHDR(message); c; c = CMSG_NXTHDR(message, c)) {
        struct timespec stamp;

        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_TIMESTAMPNS)
            continue;
        memcpy(&stamp, CMSG_DATA(c), sizeof(stamp));
        return sub_sat_u64(now_ns, sub_sat_u64(wall_ns, timespec_ns(&stamp)));
    }
    return now_ns;
}

static void take_reply(struct meter_icmp *m, const uint8_t *packet, size_t size, uint64_t at_ns)
{
    size_t header = size >= sizeof(struct iphdr) ? (size_t)(packet[0] & 0x0f) * 4 : size;
    struct wire wire;
    struct echo *e;

    if (size < header + sizeof(wire))
        return;
    memcpy(&wire, packet + header, sizeof(wire));
    if (wire.header.type != ICMP_ECHOREPLY || wire.header.un.echo.id != m->ident || wire.token != m->token ||
        wire.number >= m->sent)
        return;
    if (wire.number < m->judged) {
        m->late++;
        return;
    }
    e = &m->echoes[wire.number % m->size];
    if (!e->arrived_ns) {
        e->arrived_ns = at_ns;
        meter_arrived(&m->figures, at_ns);
    }
}

void meter_icmp_readable(struct meter_icmp *m)
{
    for (;;) {
        uint8_t packet[256];
        char control[CMSG_SPACE(sizeof(struct timespec))];
        struct iovec iov = {.iov_base = packet, .iov_len = sizeof(packet)};
        struct msghdr message = {
            .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(control)};
        ssize_t size = recvmsg(m->fd, &message, MSG_DONTWAIT);

        if (size < 0)
            return;
        take_reply(m, packet, (size_t)size, arrival_ns(&message));
    }
}

/* --- life ------------------------------------------------------------------------------------------------*/

struct meter_figures *meter_icmp_finish(struct meter_icmp *m, uint64_t now_ns)
{
    judge(m, now_ns);
    if (m->run.lost && m->any_good) {
        m->run.from_ns = m->good_sent_ns;
        m->run.until_ns = now_ns;
        m->run.silence_ns = now_ns - m->good_arrived_ns;
        m->run.open = true;
        meter_interrupted(&m->figures, &m->run);
    }
    return &m->figures;
}

void meter_icmp_losses(const struct meter_icmp *m, uint64_t *lost_count, uint64_t *late)
{
    *lost_count = m->lost;
    *late = m->late;
}

int meter_icmp_fd(const struct meter_icmp *m)
{
    return m->fd;
}

static int open_socket(struct meter_icmp *m)
{
    uint32_t others = ~(UINT32_C(1) << ICMP_ECHOREPLY);
    int one = 1;

    m->fd = socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_ICMP);
    if (m->fd < 0)
        return -errno;
    if (setsockopt(m->fd, SOL_RAW, ICMP_FILTER, &others, sizeof(others)) < 0 ||
        setsockopt(m->fd, SOL_SOCKET, SO_TIMESTAMPNS, &one, sizeof(one)) < 0)
        return -errno;
    return 0;
}

int meter_icmp_new(struct meter_icmp **out, const struct meter_settings *settings,
                   const struct meter_stalls *stalls)
{
    CLEANUP(meter_icmp_free) struct meter_icmp *m = calloc(1, sizeof(*m));
    int r;

    if (!m)
        return -ENOMEM;
    m->fd = -1;
    m->set = settings;
    m->stalls = stalls;
    m->figures.stream = "icmp";
    m->size = settings->wait_ns / settings->interval_ns * 2 + 64;
    m->echoes = calloc(m->size, sizeof(*m->echoes));
    if (!m->echoes)
        return -ENOMEM;
    if (getrandom(&m->token, sizeof(m->token), 0) < 0 || getrandom(&m->ident, sizeof(m->ident), 0) < 0)
        return -errno;
    r = open_socket(m);
    if (r < 0)
        return r;
    *out = TAKE(m);
    return 0;
}

struct meter_icmp *meter_icmp_free(struct meter_icmp *m)
{
    if (!m)
        return NULL;
    close_fd(m->fd);
    free(m->echoes);
    free(m);
    return NULL;
}
