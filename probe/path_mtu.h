/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which packets get through to each of these targets unfragmented?
 *
 * Either one size is checked, or the largest that passes is searched for, exact to the byte; of many targets
 * at once. Sizes are those of IP packets, IPv4 (20 bytes) or IPv6 header (40 bytes) included. Packets must
 * not be fragmented on the way (DF, or IPv6), and what the kernel believes of the path does not matter
 * (IP_PMTUDISC_PROBE): it knows a smaller MTU for ten minutes after the path has become better.
 *
 * A small packet goes first (PROBE_PATH_MTU_SMALL_PAYLOAD_BYTES: 68 bytes in IPv4, the least that every link
 * carries, RFC 791 section 3.2): a target that does not answer it is unreachable, whatever the size. Then the
 * size that is to be checked, or the MTU of the interface through which the target is reached, and from there
 * on as path_mtu_search.h says.
 *
 * Each size is asked like a target of a sweep: request k goes out k x select-timeout after the first; a reply
 * within the window means that the size passes, no reply that it does not. So does a message "too big" that
 * quotes our token, at once. Only one size of a target is under way at a time. A size that was silent while
 * our own receive buffer dropped replies is asked once more (settings.retry_doubtful); when that ends in the
 * same way, the result is doubtful.
 *
 * A reply takes the same way back as the request, as large: a small MTU on the way back cannot be told from
 * one on the way there, unless a router says so. Some hosts cut their replies (64 bytes are usual): such a
 * reply shows that the request arrived whole, so its size passes on the way there; of the way back nothing is
 * known then beyond the size of the reply, and the result says so (error.reply_bytes).
 *
 * One thread; 128 bytes a target.
 */
#pragma once

#include "probe/front_end.h"

#define PROBE_PATH_MTU_SMALL_PAYLOAD_BYTES 40
/* What may be asked for, in both families: the small packet of IPv6, and the largest of IPv4. */
#define PROBE_PATH_MTU_MIN_BYTES 88
#define PROBE_PATH_MTU_MAX_BYTES 65535

struct probe_path_mtu;

struct probe_path_mtu_result {
    enum probe_outcome outcome; /* PROBE_REPLY: the small packet was answered; otherwise why not */
    struct probe_error error;
    uint64_t rtt_ns;       /* of the small packet; PROBE_REPLY only */
    uint32_t requests;     /* how many were sent, of all sizes */
    bool doubtful;         /* some silence may have been our own fault */
    uint32_t passes_bytes; /* the largest size that is known to pass; 0: none */
    uint32_t fails_bytes;  /* the smallest that is known not to; 0: everything that was tried passes */
    /*
     * With fails_bytes: why. PROBE_FRAG_NEEDED: somebody said so, limit_error.from (none: this host) with
     * limit_error.mtu_bytes (0: not said); otherwise as of any request, PROBE_TIMEOUT being silence.
     */
    enum probe_outcome limit;
    struct probe_error limit_error;
};

/*
 * Opens the sockets and, on success, moves the list of targets in; their numbers are the indices.
 * check_bytes: the size to check, PROBE_PATH_MTU_MIN_BYTES to PROBE_PATH_MTU_MAX_BYTES, or 0: the largest
 * that passes is searched for. shuffled: in random order. Of the settings, payload_bytes, dont_fragment,
 * ping_timeout_ns and single_request have no meaning here. Errors as for probe_sweep_new(), and -ENOMEM.
 */
int probe_path_mtu_new(struct probe_path_mtu **out, const struct probe_settings *settings,
                       uint32_t check_bytes, struct probe_targets *targets, bool shuffled, char *message,
                       size_t size_bytes);
/* The same over a transport that is there already, which is taken over (also on failure). */
struct transport;
int probe_path_mtu_new_over(struct probe_path_mtu **out, const struct probe_settings *settings,
                            uint32_t check_bytes, struct probe_targets *targets, bool shuffled,
                            struct transport *transport);
struct probe_path_mtu *probe_path_mtu_free(struct probe_path_mtu *mtu);
DEFINE_CLEANUP(struct probe_path_mtu *, probe_path_mtu_free)

/* What makes it run, and what is true of all targets together. It lives as long as the search. */
struct front_end *probe_path_mtu_front(struct probe_path_mtu *mtu);

/* Pulls the index of one target that is done. False: none is waiting. */
bool probe_path_mtu_next(struct probe_path_mtu *mtu, uint32_t *index);
/* False: it is not done; what is known so far is said anyway. */
bool probe_path_mtu_result(const struct probe_path_mtu *mtu, uint32_t index,
                           struct probe_path_mtu_result *result);
