/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sending over io_uring: one request for each message, a whole batch in one call, both families together; the
 * same call fetches what has arrived.
 *
 * MSG_DONTWAIT makes each request end within the call. So nothing of the caller's is in use afterwards, the
 * order is kept, and only refused ones need to tell (CQE_SKIP_SUCCESS): silence is success.
 *
 * A refused one does not stop those behind it. When the kernel has no room for it, those behind it that went
 * are sent again together with it, for the contract knows no gaps. That happens once at most: from then on
 * messages go by sendmmsg(), which stops there. Slots of our own, in which a message could wait for room,
 * would make that unnecessary, but then nobody would know when it left.
 */
#include "probe/transport_uring.h"

_Static_assert(TRANSPORT_BATCH <= 32, "one bit for each message of a batch");

/* Without control messages there is a cheaper request, with fewer structures to copy. */
static void prepare_send(struct io_uring_sqe *sqe, int file, const struct packet_out *packet,
                         const struct msghdr *header)
{
    if (header->msg_controllen) {
        io_uring_prep_sendmsg(sqe, file, header, MSG_DONTWAIT);
    } else {
        io_uring_prep_send(sqe, file, packet->bytes, packet->size_bytes, MSG_DONTWAIT);
        io_uring_prep_send_set_addr(sqe, header->msg_name, (uint16_t)header->msg_namelen);
    }
    sqe->flags |= IOSQE_FIXED_FILE | IOSQE_CQE_SKIP_SUCCESS;
}

/* Queues packets up to the first before which a socket has to change its DF setting. Returns how many. */
static unsigned queue_sends(struct uring_transport *u, struct packet_out *packets, unsigned count,
                            struct io_uring_sqe **sqes)
{
    unsigned n = 0;

    for (; n < count; n++) {
        struct packet_out *packet = &packets[n];
        struct icmp_socket *s = socket_transport_socket(&u->base, packet->to.family);

        if (s->dont_fragment != packet->dont_fragment &&
            (n > 0 || icmp_socket_set_dont_fragment(s, packet->dont_fragment) < 0))
            break;
        sqes[n] = io_uring_get_sqe(&u->ring);
        if (!sqes[n])
            break;
        packet->error = 0;
        socket_transport_fill_send(&u->base, n, packet);
        prepare_send(sqes[n], packet->to.family == AF_INET6, packet, &u->base.messages[n].msg_hdr);
        uring_name(sqes[n], URING_SEND, n);
    }
    return n;
}

/* Submits them. Returns how many the kernel has looked at; the others are taken back. */
static unsigned submit_sends(struct uring_transport *u, struct io_uring_sqe **sqes, unsigned count)
{
    unsigned left;

    u->refused = 0;
    uring_enter(u);
    /* Who was refused is known when no completion is missing. */
    uring_flush_overflow(u);
    left = (unsigned)min_u64(io_uring_sq_ready(&u->ring), count);
    for (unsigned i = count - left; i < count; i++) {
        io_uring_prep_nop(sqes[i]);
        uring_name(sqes[i], URING_OTHER, 0);
    }
    return count - left;
}

/* Sends a run. Returns how many of it are dealt with. */
static unsigned send_run(struct uring_transport *u, struct packet_out *packets, unsigned count)
{
    struct io_uring_sqe *sqes[TRANSPORT_BATCH];
    unsigned submitted = submit_sends(u, sqes, queue_sends(u, packets, count, sqes));

    for (unsigned i = 0; i < submitted; i++) {
        struct icmp_socket *s = socket_transport_socket(&u->base, packets[i].to.family);

        /* By itself: that shows whose error it is. */
        if (u->refused & UINT32_C(1) << i && socket_transport_send_one(&u->base, s, i, &packets[i]) == 0) {
            u->in_order = true;
            return i;
        }
    }
    if (submitted == 0)
        u->in_order = true;
    return submitted;
}

unsigned uring_send(struct transport *transport, struct packet_out *packets, unsigned count)
{
    struct uring_transport *u = uring_of(transport);
    unsigned done = 0;

    if (uring_start(u) < 0)
        u->in_order = true;
    uring_arm(u);
    while (done < count && !u->in_order)
        done += send_run(u, packets + done, count - done);
    if (done < count)
        done += socket_transport_send(transport, packets + done, count - done);
    return done;
}
