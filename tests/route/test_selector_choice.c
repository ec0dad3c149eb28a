/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Proves what the selector's rules are made of: the rank of a path, the words of a reason, and rule 5's
 * choice among equals over many hosts: survivors share the load evenly, also of hosts that are called alike,
 * and a host's choice does not change when others come and go.
 */
#include "route/agent/host_identity.h"
#include "scenario.h"
#include <criterion/criterion.h>

/* --- rank and level, which the rules are made of --- */

Test(selector_choice, rank_storage_first_management_last)
{
    static const enum path order[] = {LOCAL,   LOCAL_2ND,  NEAR,      NEAR_2ND, FAR,
                                      FAR_2ND, LOCAL_MGMT, NEAR_MGMT, FAR_MGMT, FOREIGN};
    const struct selector_input *input = scenario_input();

    for (size_t i = 1; i < ARRAY_SIZE(order); i++)
        cr_expect_lt(selector_rank(input, scenario_index(order[i - 1])),
                     selector_rank(input, scenario_index(order[i])), "%zu", i);
    cr_expect_eq(selector_rank(input, scenario_index(NEAR)), selector_rank(input, scenario_index(TWIN)));
    scenario_pin(FAR_MGMT);
    cr_expect_lt(selector_rank(input, scenario_index(FAR_MGMT)), selector_rank(input, scenario_index(LOCAL)));
}

Test(selector_choice, every_reason_has_a_word_and_a_sentence)
{
    for (enum selector_reason reason = 0; reason < SELECTOR_REASONS; reason++) {
        cr_expect_not_null(selector_reason_text(reason), "%u", reason);
        cr_expect_not_null(selector_reason_sentence(reason), "%u", reason);
    }
}

/* --- rule 5: rendezvous hashing, over many hosts --- */

#define HOSTS         3000
#define NODES_OF_MANY 5

/* The node that a host chooses at a cold start among equals, when those in `down` are. */
static uint32_t choice_of_key(uint64_t key, unsigned down)
{
    struct access_evidence accesses[NODES_OF_MANY] = {0};
    struct path_evidence paths[NODES_OF_MANY] = {0};
    struct access_memory access_memory[NODES_OF_MANY] = {0};
    struct path_memory path_memory[NODES_OF_MANY] = {0};
    struct health_evidence up = {.state = HEALTH_UP, .up_since_ns = 1, .proven_ns = 1},
                           dead = {.state = HEALTH_DOWN};
    struct selector_input input = {.now_ns = 1,
                                   .paths = paths,
                                   .path_count = NODES_OF_MANY,
                                   .accesses = accesses,
                                   .access_count = NODES_OF_MANY,
                                   .current = SELECTOR_NO_PATH,
                                   .host.list_arrived = true};
    struct selector selector = {.paths = path_memory, .accesses = access_memory};
    struct selector_decision decision;
    char text[32];

    for (uint32_t i = 0; i < NODES_OF_MANY; i++) {
        struct address address;

        snprintf(text, sizeof(text), "10.10.85.%u", 15 + i);
        cr_assert_eq(address_parse(&address, text), 0);
        accesses[i] = (struct access_evidence){.locality = LOCALITY_SAME_ZONE,
                                               .weight = selector_weight(key, &address)};
        paths[i] = (struct path_evidence){
            .access = i, .health = down & 1u << i ? dead : up, .on_link = true, .link_usable = true};
    }
    selector_decide(&selector, &input, &decision);
    cr_assert(decision.switch_now);
    return decision.to;
}

static uint32_t choice_of(unsigned host, unsigned down)
{
    char name[32];

    snprintf(name, sizeof(name), "host-%u.example", host);
    return choice_of_key(host_identity_key(&(struct host_identity){0}, name), down);
}

static void expect_even(const unsigned *hosts, unsigned nodes, unsigned total)
{
    for (uint32_t i = 0; i < NODES_OF_MANY; i++) {
        unsigned share = total / nodes;

        /* Five standard deviations of a binomial with these numbers are less than a fifth of the share. */
        cr_expect(hosts[i] == 0 || (hosts[i] > share * 4 / 5 && hosts[i] < share * 6 / 5),
                  "node %u has %u of %u hosts, its share is %u", i, hosts[i], total, share);
    }
}

Test(selector_choice, rule_5_survivors_share_the_load)
{
    unsigned before[NODES_OF_MANY] = {0}, after[NODES_OF_MANY] = {0}, moved = 0, all[NODES_OF_MANY] = {0};

    for (unsigned host = 0; host < HOSTS; host++) {
        uint32_t with = choice_of(host, 0), without = choice_of(host, 1u << 2);

        before[with]++;
        all[without]++;
        cr_expect_neq(without, 2);
        if (with != 2) {
            cr_expect_eq(with, without, "host %u moved, though its node is still there", host);
        } else {
            after[without]++;
            moved++;
        }
    }
    expect_even(before, NODES_OF_MANY, HOSTS);
    expect_even(all, NODES_OF_MANY - 1, HOSTS);
    for (uint32_t i = 0; i < NODES_OF_MANY; i++)
        cr_expect(i == 2 || (after[i] > moved / 4 * 2 / 3 && after[i] < moved / 4 * 4 / 3),
                  "node %u got %u of the %u hosts of the dead one", i, after[i], moved);
}

/* Sixteen hosts that are all called "localhost" and lose their node: one thing that differs is enough. */
Test(selector_choice, rule_5_hosts_that_are_called_alike)
{
    static const struct {
        const char *what;
        bool machine, hardware, address;
    } rows[] = {
        {"their machine ids", true, false, false},
        {"clones: their hardware", false, true, false},
        {"no hardware: their addresses", false, false, true},
    };

    for (size_t row = 0; row < ARRAY_SIZE(rows); row++) {
        unsigned hosts[NODES_OF_MANY] = {0}, used = 0;

        for (unsigned host = 0; host < 16; host++) {
            struct host_identity identity = {0};
            uint64_t key;

            snprintf(identity.machine_id, sizeof(identity.machine_id), "5d1f0c3b9a7e4c2d8b6a1e0f3c5d7%03x",
                     rows[row].machine ? host : 0);
            if (rows[row].address)
                snprintf(identity.network, sizeof(identity.network), "10.10.85.%u", host + 11);
            else
                snprintf(identity.network, sizeof(identity.network), "52:54:00:12:34:%02x",
                         rows[row].hardware ? host : 0);
            key = host_identity_key(&identity, "localhost");
            cr_expect_eq(key, host_identity_key(&identity, "localhost"));
            hosts[choice_of_key(key, 1u << 2)]++;
        }
        for (uint32_t i = 0; i < NODES_OF_MANY; i++) {
            used += hosts[i] > 0;
            cr_expect_leq(hosts[i], 8, "%s: node %u has %u of 16", rows[row].what, i, hosts[i]);
        }
        cr_expect_eq(used, NODES_OF_MANY - 1, "%s: %u nodes are used", rows[row].what, used);
    }
}

Test(selector_choice, this_host_is_the_same_each_time)
{
    struct host_identity first, second;
    char text[128];

    host_identity_read(&first);
    host_identity_read(&second);
    cr_expect_eq(host_identity_key(&first, "a"), host_identity_key(&second, "a"));
    cr_expect_neq(host_identity_key(&first, "a"), host_identity_key(&first, "b"));
    cr_expect_eq(strncmp(host_identity_text(&first, text, sizeof(text)), "name", 4), 0);
}
