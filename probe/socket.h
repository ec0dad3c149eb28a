/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ICMP sockets and what the transports on top of them share: see socket.c and socket_io.c.
 */
#pragma once

#include "probe/transport.h"

struct icmp_socket {
    int fd;                  /* -1: not open */
    uint32_t ifindex;        /* to which it is bound; 0: to none */
    struct address stand_in; /* the interface's address, where binding to the interface is refused */
    int family;
    bool raw; /* SOCK_RAW; otherwise a ping socket (SOCK_DGRAM) */
    bool dont_fragment;
    bool tells_interface; /* of each packet, and takes it with each: IP_PKTINFO */
    uint16_t ident;
    bool tx_timestamps; /* its error queue tells of what has left */
    uint64_t drops;
    uint32_t drops_seen; /* the kernel's counter, which wraps */
};

/* Opens the socket with everything that settings ask for. On error a negative errno and one line. */
int icmp_socket_open(struct icmp_socket *s, int family, const struct probe_settings *settings, char *message,
                     size_t size_bytes);
/*
 * A raw socket for a part of the work: idents 0: it only sends, and hears nothing; otherwise it hears so many
 * idents from `ident` on, a power of two, and a multiple of that.
 */
int icmp_socket_open_raw(struct icmp_socket *s, int family, const struct probe_settings *settings,
                         uint16_t ident, uint16_t idents, char *message, size_t size_bytes);
/* A raw socket that only sends, from this address of the host, what `like` would. */
int icmp_socket_open_sender(struct icmp_socket *s, const struct icmp_socket *like,
                            const struct probe_settings *settings, const struct address *source);
void icmp_socket_close(struct icmp_socket *s);
/*
 * Binds it to the interface of settings again, if that has another index by now. A kernel may want
 * CAP_NET_RAW for it; without, the socket stays where it is: what is sent says "No such device". 0 or a
 * negative errno.
 */
int icmp_socket_bind_interface(struct icmp_socket *s, const struct probe_settings *settings);
/* Sizes both buffers for `replies` waiting messages, as far as allowed; returns for how many there is room.
 */
uint32_t icmp_socket_reserve(struct icmp_socket *s, uint32_t payload_bytes, uint32_t replies);
/* Switches DF for what is sent from now on; no call when it is so already. */
int icmp_socket_set_dont_fragment(struct icmp_socket *s, bool dont_fragment);
/*
 * The MTU of the interface through which a packet to `to` would leave, whatever the kernel has learnt of the
 * path; 0: not known. ifindex 0: by routing, with the source, the interface and the mark of settings.
 */
uint32_t icmp_socket_mtu_bytes(const struct probe_settings *settings, const struct address *to,
                               uint32_t ifindex);
/* How many messages were lost in its full receive buffer since it was opened. */
uint64_t icmp_socket_drops(struct icmp_socket *s);

/*
 * A call to receive may give the errno of an ICMP error instead, once for each (the error queue tells it in
 * full). So many in a row are not about packets but about the call: more than come in while one call follows
 * the other, and done in a tenth of a millisecond.
 */
#define FETCH_TRIES 256

/* One message header with room for address and control data. */
struct socket_header {
    struct sockaddr_storage name;
    struct iovec vector;
    _Alignas(8) uint8_t control[256];
};

/*
 * What the error queue is read into: apart from the messages, because both are looked at together. Of a
 * packet that is quoted or has left only the beginning is wanted: headers of the link, of a tunnel and of IP,
 * and our state.
 */
#define SOCKET_QUEUED_BYTES 256
struct socket_queue {
    struct socket_header headers[TRANSPORT_BATCH];
    struct mmsghdr messages[TRANSPORT_BATCH];
    uint8_t bytes[TRANSPORT_BATCH][SOCKET_QUEUED_BYTES];
};

/* An interface, where its address stands for it: socket_way.c. */
#define SOCKET_WAYS_MAX 16
struct socket_way {
    uint32_t ifindex;
    struct address address;
    struct icmp_socket socket;
};

/* What the transports have in common; they differ in how they call the kernel and how they wait. */
struct socket_transport {
    struct transport base;
    struct probe_settings settings;
    struct icmp_socket sockets[2]; /* IPv4, IPv6 */
    struct socket_header headers[TRANSPORT_BATCH];
    struct mmsghdr messages[TRANSPORT_BATCH];
    struct socket_queue queue;
    uint8_t *buffers; /* TRANSPORT_BATCH x buffer_bytes, for receiving */
    size_t buffer_bytes;
    uint32_t replies;
    uint32_t payload_bytes;
    bool singly; /* receive by recvmsg(), a call for each message */
    struct socket_way ways[SOCKET_WAYS_MAX];
    unsigned way_count;
    bool ways_are_stale; /* one could not send, for instance: the addresses may be others by now */
};

/* The socket that sends this packet. */
struct icmp_socket *socket_way(struct socket_transport *t, const struct packet_out *packet);
/* For which interface a packet came that begins with an IPv4 header; 0: the kernel tells that, or nobody does. */
uint32_t socket_way_of(const struct socket_transport *t, const struct icmp_socket *s, const uint8_t *bytes,
                       size_t size_bytes);
void socket_ways_close(struct socket_transport *t);

int socket_transport_init(struct socket_transport *t, const struct transport_operations *operations,
                          const struct probe_settings *settings);
void socket_transport_destroy(struct socket_transport *t);
struct icmp_socket *socket_transport_socket(struct socket_transport *t, int family);

/* Members of transport_operations that need nothing else. */
int socket_transport_open_family(struct transport *transport, int family, uint16_t *ident, char *message,
                                 size_t size_bytes);
int socket_transport_reserve(struct transport *transport, uint32_t payload_bytes, uint32_t replies);
int socket_transport_receive_errors(struct transport *transport, int family, struct packet_in *packets,
                                    unsigned count);
int socket_transport_receive(struct transport *transport, int family, struct packet_in *packets,
                             unsigned count);
/* By sendmmsg(). A batch has one socket and one DF setting; a mixed one is cut at the seams. */
unsigned socket_transport_send(struct transport *transport, struct packet_out *packets, unsigned count);
uint64_t socket_transport_now(const struct transport *transport);
uint32_t socket_transport_mtu_bytes(const struct transport *transport, const struct address *to,
                                    uint32_t ifindex);
/* Until something in the epoll set is ready, or a signal. 0 or a negative errno. */
int socket_transport_sleep(int epoll_fd, uint64_t until_ns);
uint64_t socket_transport_receive_drops(struct transport *transport);
void socket_transport_refresh(struct transport *transport);

/* Makes message header i ready to send `packet`, or to receive. */
void socket_transport_fill_send(struct socket_transport *t, unsigned i, const struct packet_out *packet);
void socket_transport_fill_receive(struct socket_transport *t, unsigned i);
/*
 * Sends message i by itself and finds out what an error means: sets packet->error and returns 1, or returns 0
 * when the kernel has no room now (packet->error says why).
 */
int socket_transport_send_one(struct socket_transport *t, struct icmp_socket *s, unsigned i,
                              struct packet_out *packet);

/* What turns the kernel's wall-clock time stamps into times on CLOCK_MONOTONIC: both, read at one moment. */
struct clock_pair {
    uint64_t monotonic_ns;
    uint64_t real_ns;
};
struct clock_pair clock_pair_read(void);

/*
 * Fetches up to `count` messages, or entries of the error queue (flags: MSG_ERRQUEUE), whose headers are made
 * ready; msg_len is set. Returns how many, 0 when there is nothing now, or a negative errno when this host
 * does not let us receive: socket_fetch.c.
 */
int socket_transport_fetch(struct socket_transport *t, struct icmp_socket *s, struct mmsghdr *messages,
                           unsigned count, int flags);

/* Makes *packet of the message received into header i. */
void socket_transport_decode(struct socket_transport *t, struct icmp_socket *s, unsigned i,
                             const struct clock_pair *clocks, struct packet_in *packet);
