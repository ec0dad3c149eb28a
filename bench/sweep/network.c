/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The networks of a sweep: one responder with a /12 for each profile, and the other host of the stage for
 * `kernel`.
 */
#include "bench/sweep/network.h"

#include "bench/study/stage.h"
#include "probe/range.h"

#define OUR_ADDRESS "198.18.0.1/30"

static bool is_kernel(const char *word, size_t length)
{
    return length == strlen(SWEEP_KERNEL) && memcmp(word, SWEEP_KERNEL, length) == 0;
}

/* Does this word begin another profile? */
static bool is_name(const char *word, size_t length)
{
    const char *text, *name;

    if (is_kernel(word, length))
        return true;
    for (size_t i = 0; (name = responder_profile_name(i, &text)) != NULL; i++)
        if (strlen(name) == length && memcmp(name, word, length) == 0)
            return true;
    return false;
}

/* How many characters of the list are its first profile. */
static size_t first_profile(const char *list)
{
    size_t length = strcspn(list, ",");

    while (list[length] == ',') {
        size_t word = strcspn(list + length + 1, ",");

        if (is_name(list + length + 1, word))
            break;
        length += 1 + word;
    }
    return length;
}

static int add(struct sweep_network *network, const char *text, size_t length, char *message,
               size_t size_bytes)
{
    struct sweep_profile *profile = &network->profiles[network->count];
    char prefix[RESPONDER_PREFIX_TEXT_SIZE];

    if (network->count == SWEEP_PROFILES_MAX) {
        snprintf(message, size_bytes, "more than %d profiles", SWEEP_PROFILES_MAX);
        return -EINVAL;
    }
    profile->text = strndup(text, length);
    if (!profile->text)
        return -ENOMEM;
    snprintf(prefix, sizeof(prefix), "10.%zu.0.0/12", 16 * network->count++);
    responder_prefix_parse(&profile->prefix, prefix);
    profile->is_kernel = is_kernel(text, strcspn(text, ","));
    if (!profile->is_kernel)
        return responder_profile_parse(&profile->profile, profile->text, message, size_bytes);
    if (profile->text[strlen(SWEEP_KERNEL)] == '\0')
        return 0;
    snprintf(message, size_bytes, "'" SWEEP_KERNEL "' takes no words");
    return -EINVAL;
}

int sweep_network_parse(struct sweep_network *network, const char *list, char *message, size_t size_bytes)
{
    int r = 0;

    for (const char *at = list; r == 0;) {
        size_t length = first_profile(at);

        r = add(network, at, length, message, size_bytes);
        if (at[length] == '\0')
            break;
        at += length + 1;
    }
    return r;
}

static int open_responder(struct sweep_network *network, char *message, size_t size_bytes)
{
    struct responder_prefix ours, routes[SWEEP_PROFILES_MAX];
    struct responder_rule rules[SWEEP_PROFILES_MAX];
    struct responder_settings settings = {
        .tun = "bench0", .addresses = &ours, .address_count = 1, .routes = routes, .rules = rules, .seed = 1};
    int r;

    for (size_t i = 0; i < network->count; i++) {
        const struct sweep_profile *profile = &network->profiles[i];

        if (profile->is_kernel)
            continue;
        routes[settings.route_count++] = profile->prefix;
        rules[settings.rule_count++] =
            (struct responder_rule){.prefix = profile->prefix, .profile = profile->profile};
    }
    if (settings.route_count == 0)
        return 0;
    responder_prefix_parse(&ours, OUR_ADDRESS);
    r = responder_open(&network->responder, &settings, message, size_bytes);
    return r ? r : responder_start(network->responder);
}

static int open_peer(struct sweep_network *network, const struct sweep_profile *profile, char *message,
                     size_t size_bytes)
{
    char live[RESPONDER_PREFIX_TEXT_SIZE];

    snprintf(live, sizeof(live), "%s/%u", ADDRESS_TEXT(&profile->prefix.address), profile->prefix.length);
    network->peer = stage_peer(live, NULL, message, size_bytes);
    return network->peer < 0 ? network->peer : 0;
}

int sweep_network_open(struct sweep_network *network, char *message, size_t size_bytes)
{
    int r = stage_enter(message, size_bytes);

    if (r == 0)
        r = open_responder(network, message, size_bytes);
    for (size_t i = 0; r == 0 && i < network->count; i++)
        if (network->profiles[i].is_kernel)
            r = open_peer(network, &network->profiles[i], message, size_bytes);
    return r;
}

void sweep_network_close(struct sweep_network *network)
{
    network->responder = responder_close(network->responder);
    for (size_t i = 0; i < network->count; i++)
        free(network->profiles[i].text);
    if (network->peer > 0)
        close(network->peer);
    *network = (struct sweep_network){0};
}

struct address sweep_network_address(const struct sweep_network *network, size_t profile, uint32_t nth)
{
    return probe_address_plus(&network->profiles[profile].prefix.address, (uint64_t)nth + 1);
}

bool sweep_network_is_dead(const struct sweep_network *network, size_t profile, uint32_t nth)
{
    struct address address = sweep_network_address(network, profile, nth);
    const struct responder_rule *rules;
    size_t count;

    if (network->profiles[profile].is_kernel)
        return false;
    rules = responder_rules(network->responder, &count);
    return responder_is_dead(&rules[responder_rules_find(rules, count, &address)], &address);
}
