/* SPDX-License-Identifier: Apache-2.0 */
/* Profiles: how addresses behave, from text to data. */
#pragma once

#include "probe/base.h"

enum responder_distribution {
    RESPONDER_CONSTANT,
    RESPONDER_NORMAL,    /* cut off at 0 */
    RESPONDER_LOGNORMAL, /* a long tail to the right, as real networks have */
};

enum responder_error {
    RESPONDER_ERROR_NET,         /* net unreachable; IPv6: no route */
    RESPONDER_ERROR_HOST,        /* host unreachable; IPv6: address unreachable */
    RESPONDER_ERROR_ADMIN,       /* administratively prohibited */
    RESPONDER_ERROR_TTL,         /* time to live exceeded */
    RESPONDER_ERROR_FRAG_NEEDED, /* fragmentation needed; IPv6: packet too big */
};

enum responder_corruption {
    RESPONDER_INTACT,
    RESPONDER_CORRUPT_PAYLOAD,  /* a bit behind the token, the checksum made right again */
    RESPONDER_CORRUPT_CHECKSUM, /* a bit of the ICMP checksum */
    RESPONDER_CORRUPT_TOKEN,    /* a bit of the token, the checksum made right again */
};

/*
 * How the addresses of a prefix behave. Shares are probabilities from 0 to 1, of requests unless said
 * otherwise. All zero is `perfect`: everything is answered at once.
 */
struct responder_profile {
    enum responder_distribution distribution;
    double delay_ns;         /* the constant; the mean of normal; the median of lognormal */
    double spread;           /* normal: standard deviation in ns; lognormal: that of the logarithm */
    uint64_t spike_ns;       /* how long an address stands still; what it then owes it sends at the end */
    uint64_t spike_every_ns; /* mean time between the starts of two spikes of an address; 0: no spikes */
    double late;
    uint64_t late_ns; /* a late reply comes this long after its request, whatever the delay */
    double reorder;   /* replies that come without their delay, before those they should follow */

    double dead; /* share of addresses that never answer */
    double loss;
    double
        burst_enter; /* Gilbert-Elliott, for each address: good to bad, a chance per request; 0: no bursts */
    double burst_leave;   /* bad to good */
    double burst_bad;     /* loss while bad */
    double burst_good;    /* loss while good */
    uint32_t limit_per_s; /* answers in each second to each address; 0: no limit */

    double error;
    enum responder_error error_kind;
    bool short_quote;   /* errors quote the IP header and 8 bytes; else as much as RFC 1812, RFC 4443 allow */
    uint32_t mtu_bytes; /* bigger requests that must not be fragmented get FRAG_NEEDED; 0: all pass */
    bool mtu_silent;    /* ... or no answer at all */

    double duplicate; /* replies that come twice */
    double corrupt;
    enum responder_corruption corruption;
    double truncate;
    uint32_t truncate_bytes; /* how much ICMP payload is left of a truncated reply */
    double wrong_source;     /* replies that come from the address beside (its last bit is the other one) */
};

/*
 * Reads a profile: an optional name (perfect, lan, ...) and words, separated by commas; a word replaces what
 * the name has set. 0, or -EINVAL with one line in message that names the word and what was expected.
 */
int responder_profile_parse(struct responder_profile *out, const char *text, char *message,
                            size_t size_bytes);

/* Writes the language of profiles for people, and what each name stands for. */
void responder_profile_help(FILE *out);

/* The nth named profile and what it stands for; NULL: there are no more. *text may be empty. */
const char *responder_profile_name(size_t nth, const char **text);
