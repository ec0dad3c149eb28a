/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The contract between the engine and whatever carries its packets.
 *
 * A transport moves ICMP messages, knows nothing of targets and judges nothing. It belongs to one thread.
 * There are as many as there are files transport_*.c; another one is one more file and a row in transport.c
 * (transport_shared.c is epoll for several workers, and has none).
 */
#pragma once

#include "probe/probe.h"

struct transport;

/* The most packets in one call of send() or receive(). */
#define TRANSPORT_BATCH 32

struct packet_out {
    struct address to;
    uint32_t ifindex;     /* leave through this interface; 0: by routing */
    bool dont_fragment;   /* DF; on IPv6 no fragmentation at the source */
    const uint8_t *bytes; /* a whole ICMP message, valid during the call */
    uint32_t size_bytes;
    int error; /* set by send(): 0, or the positive errno with which the kernel refused this packet */
    uint32_t mtu_bytes; /* set by send() with EMSGSIZE: what would fit; 0: not known */
};

struct packet_in {
    uint64_t at_ns; /* when the kernel received it, on the clock of now(); 0: not known, but before now */
    struct address from;
    uint32_t ifindex;     /* through which it came; 0: not known */
    const uint8_t *bytes; /* a whole ICMP message, valid until the next receive() */
    uint32_t size_bytes;
    /*
     * The packet is an ICMP error that the kernel has already taken apart: bytes are our own request as
     * quoted, from its ICMP header on, and these say what the error was about and what it said.
     */
    bool quoted;
    /*
     * Nothing came in: the kernel tells that a request of ours left this host, at at_ns. bytes are its first
     * ones, from the ICMP header on.
     */
    bool left;
    struct address destination;
    uint8_t icmp_type;
    uint8_t icmp_code;
    uint32_t mtu_bytes;
};

struct transport_operations {
    const char *name;

    /*
     * Makes `family` usable and says with which ident requests of it must be built: a ping socket owns its
     * ident, so it must be known before a request is sealed. May be called again. -EAFNOSUPPORT, -EACCES, or
     * what the socket calls said; on error one line is in message.
     */
    int (*open_family)(struct transport *transport, int family, uint16_t *ident, char *message,
                       size_t size_bytes);

    /*
     * Makes room for messages of up to `payload_bytes` and for `replies` of them waiting unread, as far as
     * allowed. Returns for how many there is room in each family, at least 1, or -ENOMEM: then messages that had
     * room before still have it.
     */
    int (*reserve)(struct transport *transport, uint32_t payload_bytes, uint32_t replies);

    /*
     * Sends packets in order, never blocks. Each one that is dealt with has its `error` set. Stops at the
     * first for which the kernel has no room now (ENOBUFS, EAGAIN, ENOMEM): nothing is known of that one and
     * those behind it, they are to be tried again. Returns how many are dealt with; when that is less than
     * count, packets[returned].error says why.
     */
    unsigned (*send)(struct transport *transport, struct packet_out *packets, unsigned count);

    /*
     * Fetches what has arrived for one family, oldest first, never blocks. Fewer than `count` (at most
     * TRANSPORT_BATCH): there was no more at that moment. Of a family that is not open there is nothing. Returns
     * the number, or a negative errno.
     */
    int (*receive)(struct transport *transport, int family, struct packet_in *packets, unsigned count);

    /*
     * The same for what does not come as a message: ICMP errors and notes of departure. 0: there was none.
     * What receive() returned stays as it is.
     */
    int (*receive_errors)(struct transport *transport, int family, struct packet_in *packets, unsigned count);

    /*
     * Returns when something can be received, or wakeup_fd (-1: none) is readable, or until_ns has come, or a
     * signal. 0 or a negative errno.
     */
    int (*wait)(struct transport *transport, uint64_t until_ns, int wakeup_fd);

    /*
     * A descriptor for an outer event loop, readable when something can be received. It stays the same for the
     * whole life of the transport, also when it could not be made as it should. *complete is false when it does
     * not cover every family that is open: then somebody has to look now and then (arrival times do not suffer,
     * they are the kernel's).
     */
    int (*fd)(struct transport *transport, bool *complete);

    /* The clock of all times here, in nanoseconds. */
    uint64_t (*now)(const struct transport *transport);

    /*
     * The MTU of the interface through which a packet to `to` leaves (ifindex 0: by routing); 0: not known.
     * What the kernel has learnt of the path beyond that does not count.
     */
    uint32_t (*mtu_bytes)(const struct transport *transport, const struct address *to, uint32_t ifindex);

    /* How many messages were lost in our own full buffers, since the beginning. */
    uint64_t (*receive_drops)(struct transport *transport);

    /*
     * Looks up settings.interface again, which may have been made anew since: its name lasts, its index does
     * not. NULL: there is nothing to look up.
     */
    void (*refresh)(struct transport *transport);

    void (*close)(struct transport *transport);
};

struct transport {
    const struct transport_operations *operations;
    bool is_raw; /* it has opened a raw socket, for which the kernel copies all ICMP that reaches the host */
    const char
        *failed_call; /* of the kernel, when receive() or wait() gave an error; static text, may be NULL */
};

/* What "auto" goes by: from so many targets on, making a ring is worth its time, see transport_uring.c. */
#define TRANSPORT_MANY 1000

/*
 * Opens the transport that settings->transport names; "auto" takes the first that works for `targets` targets
 * (UINT32_MAX: nobody knows). Opens IPv4, or IPv6 where there is no IPv4. Errors as for probe_sweep_new().
 */
int transport_open(struct transport **out, const struct probe_settings *settings, uint32_t targets,
                   char *message, size_t size_bytes);
/*
 * Opens `count` transports, at most TRANSPORT_SHARED_MAX, each for a thread of its own, over raw sockets of
 * which only one hears: transport_shared.c. All or none. Errors as for transport_open().
 */
#define TRANSPORT_SHARED_MAX 256
int transport_shared_open(struct transport **out, uint32_t count, const struct probe_settings *settings,
                          char *message, size_t size_bytes);
struct transport *transport_close(struct transport *transport);
DEFINE_CLEANUP(struct transport *, transport_close)

/* The constructors behind it: -ENOSYS or whatever the kernel says when this host has not what they need. */
int transport_epoll_open(struct transport **out, const struct probe_settings *settings);
int transport_poll_open(struct transport **out, const struct probe_settings *settings);
int transport_uring_open(struct transport **out, const struct probe_settings *settings);
