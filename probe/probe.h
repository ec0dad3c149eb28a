/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What every user of the probe engine sees: settings, outcomes, counters.
 *
 * Two front ends share them: sweep.h (one-shot: is each of these targets reachable?) and stream.h
 * (continuous: what happens on these paths, moment by moment?).
 */
#pragma once

#include "probe/base.h"

/*
 * The smallest payload: our own state travels in the request and comes back sealed with a token, see icmp.h.
 */
#define PROBE_PAYLOAD_MIN_BYTES 24
#define PROBE_PAYLOAD_MAX_BYTES 65507

/* What is known of a request, or of a target. Not a boolean: each is told apart from the others on purpose.
 */
enum probe_outcome {
    PROBE_REPLY,       /* a valid reply within its select-timeout */
    PROBE_LATE,        /* a valid reply after its select-timeout: life, but slow */
    PROBE_DUPLICATE,   /* one more valid reply to the same request */
    PROBE_TIMEOUT,     /* select-timeout is over without a reply */
    PROBE_UNREACHABLE, /* an ICMP error about this request; error.icmp_* and error.from say which and whose */
    PROBE_FRAG_NEEDED, /* the packet is too big for the way; error.mtu_bytes says what fits (0: not said) */
    PROBE_SEND_FAILED, /* the kernel has no way out for it (ENETUNREACH, EHOSTUNREACH, ENETDOWN, ...) */
};

/* "reply", "late", ...: static text. */
const char *probe_outcome_text(enum probe_outcome outcome);

/* Why a reply was no valid one. */
enum probe_refusal {
    PROBE_NOT_REFUSED,     /* no reply came at all */
    PROBE_REFUSED_FROM,    /* it came from another address or zone than was asked: error.from */
    PROBE_REFUSED_CORRUPT, /* checksum, token or contents are wrong */
    PROBE_REFUSED_SHORT,   /* cut to error.reply_bytes, too few to hold the token */
};

/* Why, for the outcomes that have a reason beyond their name. All zero: nothing more is known. */
struct probe_error {
    int error;         /* positive errno of PROBE_SEND_FAILED */
    uint8_t icmp_type; /* as on the wire, RFC 792 or RFC 4443 by the family of `from` */
    uint8_t icmp_code;
    uint32_t mtu_bytes; /* RFC 1191, RFC 4443 section 3.2 */
    struct address
        from; /* who said so: the router or the host that sent the ICMP error, or a refused reply */
    enum probe_refusal refusal; /* PROBE_TIMEOUT: what came instead of a valid reply, last */
    uint32_t
        reply_bytes; /* payload of a reply that was cut short, valid (PROBE_REPLY) or not; 0: it was not */
};

/*
 * Writes one line for people, for instance "host unreachable, says 10.0.0.1" or "no reply in 1000 ms"
 * (timeout_ns is what was waited, for PROBE_TIMEOUT; 0: it is not said). Empty for PROBE_REPLY, but for a
 * reply that was cut short. Returns buffer.
 */
const char *probe_reason_text(enum probe_outcome outcome, const struct probe_error *error,
                              uint64_t timeout_ns, char *buffer, size_t size_bytes);

/* What has been seen on the sockets, for reports and metrics. Only ever goes up. */
struct probe_counters {
    uint64_t sent;       /* requests that the kernel took */
    uint64_t replies;    /* valid and in time */
    uint64_t late;       /* valid, after select-timeout */
    uint64_t duplicates; /* valid, but already answered */
    uint64_t truncated;  /* of the valid ones: cut short, but long enough to prove themselves */
    uint64_t corrupt;    /* looks like ours, but checksum, length or token are wrong */
    uint64_t foreign; /* somebody else's ICMP, or a reply from an address or interface that was not asked */
    uint64_t icmp_errors;   /* ICMP errors about our requests */
    uint64_t send_failures; /* no way out: counted as unanswered */
    uint64_t send_retries;  /* our own want of resources (ENOBUFS, EAGAIN, ENOMEM): sent again */
    uint64_t receive_drops; /* replies lost in our own full socket buffer */
    uint64_t tx_stamps;     /* requests of which the kernel has told when they left */
    uint64_t stalls; /* stream only: times this process did not run when it should have, see stream.h */
};

/* Zero is the default of each member unless said otherwise; probe_settings_default() gives the usual ones. */
struct probe_settings {
    const char *
        transport; /* "auto", "epoll", "io_uring" or "poll" (and "simulated" in tests); static or outliving */
    uint64_t select_timeout_ns; /* length of one wait for a reply; at least 1 ms */
    uint32_t select_count;      /* how many waits; at least 1 */
    uint64_t ping_timeout_ns;   /* sweep only: bound of a target's whole time; 0: the window */
    bool single_request;        /* sweep only: send the first request only and wait the whole window */
    uint32_t rate;              /* sweep only: at most so many packets a second; 0: no bound */
    bool retry_doubtful;        /* sweep only: ask again who may be unreachable by our own drops */
    uint32_t payload_bytes;     /* ICMP payload, PROBE_PAYLOAD_MIN_BYTES..PROBE_PAYLOAD_MAX_BYTES */
    bool dont_fragment;         /* DF on IPv4, no fragmentation at the source on IPv6 */
    uint8_t tos;                /* IPv4 TOS / IPv6 traffic class; DSCP is its upper six bits */
    uint8_t ttl;                /* IPv4 TTL / IPv6 hop limit; 0: the system's default */
    struct address source4;     /* source addresses; none: the kernel chooses */
    struct address source6;
    char interface[IFNAMSIZ]; /* send and receive through this interface only; empty: any */
    uint32_t mark;            /* SO_MARK, needs CAP_NET_ADMIN; 0: none */
    bool tx_timestamps;       /* let the kernel tell when each request leaves; not over io_uring */
};

/* 1 s x 1, 56 bytes, transport "auto", doubtful ones are asked again. */
struct probe_settings probe_settings_default(void);

/*
 * Checks ranges and combinations. Returns 0, or -EINVAL with one line in message (which setting, its value,
 * what was expected).
 */
int probe_settings_check(const struct probe_settings *settings, char *message, size_t size_bytes);
