/* SPDX-License-Identifier: Apache-2.0 */
/* Prefixes, and which addresses have which profile. */
#pragma once

#include "bench/responder/profile.h"

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

/* Sorts rules so that the longest prefix comes first. -EEXIST: two have the same (*which is one of them). */
int responder_rules_sort(struct responder_rule *rules, size_t count, size_t *which);
/* The first of the sorted rules that covers the address; count: none does. */
size_t responder_rules_find(const struct responder_rule *rules, size_t count, const struct address *address);
