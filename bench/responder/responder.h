/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A network that misbehaves on command.
 *
 * The responder answers ICMP echo requests for any number of addresses on a TUN device of its own. What
 * happens to each request follows from a profile, one string such as "nested,loss=5%,duplicate=0.1%"; each
 * prefix of addresses may have another one. With the same seed the same requests in the same order meet the
 * same fate.
 *
 * Three layers, each usable without the ones below it: profiles and rules (text to data), the model (what
 * becomes of this request; pure), and the running responder (device, pending answers, counters).
 */
#pragma once

#include "probe/base.h"

/* --- profiles --------------------------------------------------------------------------------------------*/

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

/* --- prefixes and rules ----------------------------------------------------------------------------------*/

struct responder_prefix {
    struct address address;
    uint8_t length; /* bits */
};

#define RESPONDER_PREFIX_TEXT_SIZE (ADDRESS_TEXT_SIZE + 4)

/* "10.0.0.0/8", "fd00::1" (all bits). 0, or -EINVAL. Bits behind the length are kept. */
int responder_prefix_parse(struct responder_prefix *out, const char *text);
/* True when no bit behind the length is set. */
bool responder_prefix_is_network(const struct responder_prefix *prefix);

/* A profile and the addresses that have it. */
struct responder_rule {
    struct responder_prefix prefix; /* address.family 0: all that no other rule covers */
    struct responder_profile profile;
    uint64_t key; /* of its random numbers: from the seed and the prefix, see responder_rule_key() */
};

/* Reads "PREFIX=PROFILE". 0, or -EINVAL with one line in message. The key is not set. */
int responder_rule_parse(struct responder_rule *out, const char *text, char *message, size_t size_bytes);

/* The key of a rule: rules of other prefixes do not change what happens in this one. */
uint64_t responder_rule_key(const struct responder_prefix *prefix, uint64_t seed);

/* Sorts rules so that the longest prefix comes first. -EEXIST: two have the same (*which is one of them). */
int responder_rules_sort(struct responder_rule *rules, size_t count, size_t *which);
/* The first of the sorted rules that covers the address; count: none does. */
size_t responder_rules_find(const struct responder_rule *rules, size_t count, const struct address *address);

/* --- the model -------------------------------------------------------------------------------------------
 * Pure: everything that becomes of a request follows from its rule, its number among the requests that met
 * this rule, its time, and (for bursts and limits only) what is remembered of its address.
 */
struct responder_request {
    uint64_t number;        /* from 0, of the rule */
    uint64_t at_ns;         /* since the responder began */
    struct address address; /* to which it went; without a scope */
    uint32_t size_bytes;    /* of the IP packet */
    bool dont_fragment;     /* always so on IPv6 */
};

enum responder_verdict {
    RESPONDER_REPLY,
    RESPONDER_ERROR,   /* an ICMP error, fate.error */
    RESPONDER_DEAD,    /* no answer: nobody lives there */
    RESPONDER_LOST,    /* ... independent loss */
    RESPONDER_BURST,   /* ... loss in a burst */
    RESPONDER_LIMITED, /* ... the address has answered enough in this second */
    RESPONDER_TOO_BIG, /* ... and the router does not say so */
    RESPONDER_VERDICTS,
};

struct responder_fate {
    enum responder_verdict verdict;
    enum responder_error error;
    uint64_t delay_ns; /* from the request to the answer */
    bool spiked, late, reordered;
    bool duplicate, truncated, wrong_source; /* of replies only */
    enum responder_corruption corruption;
    uint32_t noise; /* random: which bit is corrupted */
};

/* What is remembered of an address, for rules that need it. All zero: nothing yet. */
struct responder_memory {
    uint32_t tag;     /* which address; used by the memory's owner only */
    uint32_t second;  /* the last in which there was a request */
    uint32_t answers; /* in that second */
    uint32_t burst;   /* 0: not known, 1: good, 2: bad */
};

/* True for rules of which responder_decide() needs a memory of the address. */
bool responder_needs_memory(const struct responder_profile *profile);

/* memory may be NULL when none is needed; else it is brought up to date. */
struct responder_fate responder_decide(const struct responder_rule *rule,
                                       const struct responder_request *request,
                                       struct responder_memory *memory);

/* True when the address never answers: what a prober should find out. */
bool responder_is_dead(const struct responder_rule *rule, const struct address *address);

/* A number for an address under a rule, as random as its bits are different. */
uint64_t responder_address_hash(const struct responder_rule *rule, const struct address *address);

/* --- the responder ---------------------------------------------------------------------------------------*/

struct responder_settings {
    char tun[IFNAMSIZ]; /* name of the device */
    /* Of this host on the device; the address after each is the simulated router, who sends ICMP errors. */
    const struct responder_prefix *addresses;
    size_t address_count;
    const struct responder_prefix *routes; /* led into the device, beside the networks of the addresses */
    size_t route_count;
    const struct responder_rule *rules; /* any order; all else behaves as `perfect` */
    size_t rule_count;
    uint64_t seed;
    /*
     * Answer before all ordinary work of the machine (SCHED_FIFO, CAP_SYS_NICE), so that delays are exact on
     * a busy one, as those of a real network are. It may take most of a core away from everybody else.
     */
    bool realtime;
};

/* Of one rule. Every request ends in exactly one of the verdicts; what was made of it later is below. */
struct responder_counters {
    uint64_t requests;
    uint64_t verdicts[RESPONDER_VERDICTS];
    uint64_t spiked, late, reordered, duplicates, corrupt, truncated, wrong_source;
    uint64_t overflows; /* answers not sent: too many bytes were pending */
};

#define RESPONDER_LATENESS_BUCKETS 640 /* 16 to each doubling of nanoseconds */

/* Of the device as a whole. */
struct responder_figures {
    uint64_t other;                                /* packets that are no intact echo request */
    uint64_t write_failures;                       /* answers that the device did not take */
    uint64_t forgotten;                            /* addresses whose memory was given to another one */
    uint64_t pending, pending_most;                /* answers that wait for their time */
    uint64_t busy_ns;                              /* CPU time used */
    uint64_t lateness[RESPONDER_LATENESS_BUCKETS]; /* of answers with a delay: written, minus due, in ns */
    uint64_t lateness_most_ns;
};

/*
 * The lateness below which this share (0..1) of the delayed answers was, in ns, at most 7 % too high; 0
 * without any.
 */
uint64_t responder_lateness_ns(const struct responder_figures *figures, double share);

struct responder;

/*
 * Makes the device in the calling thread's network namespace, brings it up, adds addresses and routes. From
 * now on requests queue up in it (some 250,000). The device is gone when the responder is closed, in all
 * processes that have it. 0, or a negative errno with one line in message.
 */
int responder_open(struct responder **out, const struct responder_settings *settings, char *message,
                   size_t size_bytes);

/*
 * Answers in the calling thread until stop_fd is readable or its other end is closed. The thread keeps its
 * timer slack of 1 ns, and with settings.realtime its priority, afterwards. 0 or a negative errno.
 */
int responder_run(struct responder *responder, int stop_fd);

/*
 * Answers in a process of its own, so that its CPU time is not ours; it ends with this one, also when this
 * one is killed. responder_stop() ends it and waits. 0 or a negative errno.
 */
int responder_start(struct responder *responder);
int responder_stop(struct responder *responder);

struct responder *responder_close(struct responder *responder);
DEFINE_CLEANUP(struct responder *, responder_close)

/*
 * The rules as they are matched (the last is for all that no other one covers), their counters in the same
 * order, and the device's figures; valid until close and up to date at any time, in the process that opened
 * it too.
 */
const struct responder_rule *responder_rules(const struct responder *responder, size_t *count);
const struct responder_counters *responder_counters(const struct responder *responder);
const struct responder_figures *responder_figures(const struct responder *responder);

/* Requests that the kernel dropped because the device's queue was full; a negative errno. */
int64_t responder_queue_drops(struct responder *responder);

/* Writes everything that was counted as one line of JSON (schema reroute.responder/1). */
void responder_write_json(struct responder *responder, FILE *out);
