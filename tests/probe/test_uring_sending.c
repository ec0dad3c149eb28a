/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What this proves of sending with the io_uring transport, beyond what all transports have in common, against
 * the real kernel: each message leaves once, what became of each is told apart, both families go together,
 * the interface that is asked for is taken, and sending stops where the kernel has no room. In all modes.
 */
#include <criterion/criterion.h>
#include <netinet/icmp6.h>
#include <netinet/ip_icmp.h>

#include "probe/socket.h"
#include "tests/lib/netns.h"
#include "tests/probe/uring_world.h"

Test(uring_sending, sends_each_message_once, .timeout = 60)
{
    struct uring_world w;

    uring_world_make(&w);
    for (size_t m = 0; m < ARRAY_SIZE(uring_world_modes); m++) {
        struct packet_out packets[TRANSPORT_BATCH];
        unsigned counts[TRANSPORT_BATCH] = {0};

        uring_world_open(&w, &uring_world_modes[m]);
        cr_assert_eq(uring_world_send(&w, &w.there[0], packets, TRANSPORT_BATCH), TRANSPORT_BATCH);
        uring_world_count(&w, counts);
        for (unsigned i = 0; i < TRANSPORT_BATCH; i++) {
            cr_assert_eq(packets[i].error, 0);
            cr_assert_eq(counts[i], 1, "mode %zu, packet %u: %u replies", m, i, counts[i]);
        }
        uring_world_close(&w);
    }
}

/* Each has its own result, whatever the family, the DF setting and the results of those around it. */
Test(uring_sending, tells_the_results_of_a_mixed_batch_apart, .timeout = 60)
{
    struct uring_world w;

    uring_world_make(&w);
    for (size_t m = 0; m < ARRAY_SIZE(uring_world_modes); m++) {
        struct packet_out packets[TRANSPORT_BATCH];
        static uint8_t bytes[2][ICMP_HEADER_BYTES + 1600] = {{ICMP_ECHO}, {ICMP6_ECHO_REQUEST}};

        uring_world_open(&w, &uring_world_modes[m]);
        for (unsigned i = 0; i < TRANSPORT_BATCH; i++)
            packets[i] = (struct packet_out){
                .to = i & 2 ? w.nowhere[i & 1] : w.there[i & 1],
                .dont_fragment = i & 4,
                .bytes = bytes[i & 1],
                .size_bytes = i & 8 ? sizeof(bytes[0]) : 64,
                .error = -1,
            };
        cr_assert_eq(w.operations->send(w.transport, packets, TRANSPORT_BATCH), TRANSPORT_BATCH);
        for (unsigned i = 0; i < TRANSPORT_BATCH; i++) {
            bool too_big = packets[i].dont_fragment && packets[i].size_bytes > 1500;
            int want = i & 2 ? ENETUNREACH : too_big ? EMSGSIZE : 0;

            cr_assert_eq(packets[i].error, want, "mode %zu, packet %u: %s", m, i, strerror(packets[i].error));
            cr_assert_eq(packets[i].mtu_bytes, want == EMSGSIZE ? 1500 : 0);
        }
        uring_world_close(&w);
    }
}

static struct packet_out request_to(const struct uring_world *w, const struct address *to, uint16_t sequence,
                                    uint8_t *bytes)
{
    struct icmp_echo echo = {.ident = w->ident[to->family == AF_INET6], .sequence = sequence};

    icmp_pattern_fill(bytes, 64);
    icmp_request_build(bytes, 64, to->family, &echo, 0);
    return (struct packet_out){.to = *to, .bytes = bytes, .size_bytes = 64};
}

/* Both families in one batch, both answer. */
Test(uring_sending, sends_both_families_together, .timeout = 60)
{
    struct uring_world w;

    uring_world_make(&w);
    for (size_t m = 0; m < ARRAY_SIZE(uring_world_modes); m++) {
        struct packet_out packets[TRANSPORT_BATCH];
        uint8_t bytes[TRANSPORT_BATCH][64];
        struct packet_in in[TRANSPORT_BATCH];

        uring_world_open(&w, &uring_world_modes[m]);
        for (uint16_t i = 0; i < TRANSPORT_BATCH; i++)
            packets[i] = request_to(&w, &w.there[i & 1], i, bytes[i]);
        cr_assert_eq(w.operations->send(w.transport, packets, TRANSPORT_BATCH), TRANSPORT_BATCH);
        for (int family = 0; family < 2; family++) {
            int got = 0;

            /* The first to a neighbour waits until its address is known. */
            while (got < TRANSPORT_BATCH / 2) {
                int r = w.operations->receive(w.transport, family ? AF_INET6 : AF_INET, in, TRANSPORT_BATCH);

                cr_assert_geq(r, 0);
                for (int i = 0; i < r; i++)
                    cr_assert_eq(uring_world_number(&in[i]) & 1, (unsigned)family);
                got += r;
            }
            cr_assert_eq(got, TRANSPORT_BATCH / 2);
        }
        uring_world_close(&w);
    }
}

/* A packet that names its interface leaves through it, among others that do not. */
Test(uring_sending, sends_through_the_interface_that_is_asked_for, .timeout = 60)
{
    struct uring_world w;
    uint32_t second;

    uring_world_make(&w);
    netns_veth(NETNS_HERE, "second", "10.5.0.1/24", w.peer, "there2", "10.5.0.2/24");
    second = if_nametoindex("second");
    for (size_t m = 0; m < ARRAY_SIZE(uring_world_modes); m++) {
        struct packet_out packets[2];
        struct packet_in in;
        uint8_t bytes[2][64];

        uring_world_open(&w, &uring_world_modes[m]);
        for (uint16_t i = 0; i < 2; i++)
            packets[i] = request_to(&w, &w.there[0], i, bytes[i]);
        packets[1].ifindex = second;
        cr_assert_eq(w.operations->send(w.transport, packets, 2), 2);
        for (int seen = 0; seen < 2;) {
            int r = w.operations->receive(w.transport, AF_INET, &in, 1);

            cr_assert_geq(r, 0);
            if (r == 1)
                cr_assert_eq(in.ifindex, uring_world_number(&in) ? second : if_nametoindex("here"),
                             "mode %zu", m);
            seen += r;
        }
        uring_world_close(&w);
    }
}

/* Messages to a neighbour that does not answer stay in our send buffer until it is full. */
Test(uring_sending, stops_where_the_kernel_has_no_room, .timeout = 60)
{
    struct uring_world w;

    uring_world_make(&w);
    for (size_t m = 0; m < ARRAY_SIZE(uring_world_modes); m++) {
        struct packet_out packets[TRANSPORT_BATCH];
        unsigned counts[TRANSPORT_BATCH] = {0};
        struct socket_transport *t;
        unsigned done;
        int small = 1;

        uring_world_open(&w, &uring_world_modes[m]);
        t = (struct socket_transport *)w.transport;
        cr_assert_eq(setsockopt(t->sockets[0].fd, SOL_SOCKET, SO_SNDBUF, &small, sizeof(small)), 0);
        done = uring_world_send(&w, &w.silent, packets, TRANSPORT_BATCH);
        cr_assert(done > 0 && done < TRANSPORT_BATCH, "%u", done);
        for (unsigned i = 0; i < done; i++)
            cr_assert_eq(packets[i].error, 0);
        cr_assert(packets[done].error == EAGAIN || packets[done].error == ENOBUFS);
        cr_assert_eq(uring_world_send(&w, &w.there[0], packets, 4), 0);
        cr_assert_eq(packets[0].error, EAGAIN);

        /* With room again it goes on, and from here on in order. */
        small = 1 << 20;
        cr_assert_eq(setsockopt(t->sockets[0].fd, SOL_SOCKET, SO_SNDBUF, &small, sizeof(small)), 0);
        cr_assert_eq(uring_world_send(&w, &w.there[0], packets, TRANSPORT_BATCH), TRANSPORT_BATCH);
        uring_world_count(&w, counts);
        for (unsigned i = 0; i < TRANSPORT_BATCH; i++)
            cr_assert_eq(counts[i], 1, "mode %zu, packet %u: %u replies", m, i, counts[i]);
        uring_world_close(&w);
    }
}
