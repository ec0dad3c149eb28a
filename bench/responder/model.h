/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The model: what becomes of a request. Pure: it follows from the rule, from the number of the request among
 * those that met this rule, from its time, and (for bursts and limits only) from what is remembered of its
 * address.
 */
#pragma once

#include "bench/responder/rules.h"

/* The key of a rule: rules of other prefixes do not change what happens in this one. */
uint64_t responder_rule_key(const struct responder_prefix *prefix, uint64_t seed);

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
