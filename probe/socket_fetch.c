/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fetching messages from a socket: recvmmsg, or recvmsg where that is not to be had.
 *
 * An error of a call to receive has one of two causes:
 *
 *   - an ICMP error about one of our requests: the kernel tells each of them once in this way;
 *   - the call is not allowed here (seccomp, an odd system): the error comes each time.
 *
 * The number of the error does not tell which, since a filter may give any. So an error that comes again and
 * again is the call's. Then the plainer call is taken. When that does not work either, the caller gets the
 * error. No error is ever taken for "nothing there": all targets would be called unreachable.
 *
 * Want of memory is our own fault and passes: the messages stay where they are. It counts like a message
 * that did not fit into our buffer, so that silence meanwhile is doubtful and not a verdict.
 */
#include "probe/lacking.h"
#include "probe/socket.h"

static bool is_want(int error)
{
    return error == ENOMEM || error == ENOBUFS;
}

/* One call for each message. As recvmmsg(): how many, or -1 when the first one failed. */
static int fetch_singly(int fd, struct mmsghdr *messages, unsigned count, int flags)
{
    unsigned got = 0;

    while (got < count) {
        ssize_t r = recvmsg(fd, &messages[got].msg_hdr, flags);

        if (r < 0)
            break;
        messages[got++].msg_len = (unsigned)r;
    }
    return got > 0 || count == 0 ? (int)got : -1;
}

int socket_transport_fetch(struct socket_transport *t, struct icmp_socket *s, struct mmsghdr *messages,
                           unsigned count, int flags)
{
    int error = 0;

    for (unsigned tries = 0; tries < 2 * FETCH_TRIES; tries++) {
        int got;

        if (tries == FETCH_TRIES) {
            lacking_note(LACKING_RECVMMSG, -error);
            t->singly = true;
        }
        got = t->singly ? fetch_singly(s->fd, messages, count, flags | MSG_DONTWAIT)
                        : recvmmsg(s->fd, messages, count, flags | MSG_DONTWAIT, NULL);
        if (got >= 0)
            return got;
        error = errno;
        if (error == EAGAIN)
            return 0;
        if (error == ENOSYS && tries < FETCH_TRIES - 1) /* no ICMP error has this number */
            tries = FETCH_TRIES - 1;
        if (is_want(error)) {
            s->drops++;
            return 0;
        }
    }
    t->base.failed_call = "recvmsg";
    return -error;
}
