/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The model: what becomes of a request. Pure; no clock, no I/O, no allocation.
 *
 * Random numbers are not a sequence but a function: the nth request of a rule has sixteen numbers of its own,
 * found by hashing (the rule's key, n, which of them), the way SplitMix64 hashes its counter. So the fate of
 * a request does not depend on which features other rules use, nor on how many numbers an earlier request
 * needed, and adding loss to a profile does not change its delays.
 *
 * What belongs to an address and not to a request (is it dead, when does it stand still) is a function of the
 * address: a million of them cost nothing. Spikes are found by cutting time into cells of the spike's length;
 * each cell starts a spike with the chance that a Poisson process would, somewhere in it, so that a moment
 * can only lie in a spike of its own cell or of the one before. Only the state of a burst and the answers
 * counted for a limit are remembered, by the caller.
 *
 * Deliberately not done: queues and bandwidth. Loss and delay do not depend on how much is sent, limits
 * excepted, so that what a bench measures is what the profile says.
 */
#include <math.h>

#include "bench/responder/model.h"

#include "probe/random.h"

#define DELAY_MAX_NS 3600e9

/* Which of the sixteen numbers of a request. */
enum draw {
    DRAW_LOSS,
    DRAW_BURST_STEP,
    DRAW_BURST_LOSS,
    DRAW_ERROR,
    DRAW_DELAY_RADIUS,
    DRAW_DELAY_ANGLE,
    DRAW_LATE,
    DRAW_REORDER,
    DRAW_DUPLICATE,
    DRAW_CORRUPT,
    DRAW_TRUNCATE,
    DRAW_WRONG_SOURCE,
    DRAW_NOISE,
    DRAWS = 16,
};

/* Salts of what is drawn for an address. */
#define SALT_DEAD  UINT64_C(0xdead)
#define SALT_SPIKE UINT64_C(0x5b1ce)

static uint64_t draw(const struct responder_rule *rule, const struct responder_request *request,
                     enum draw which)
{
    return random_mix(rule->key + (request->number * DRAWS + which + 1) * RANDOM_GOLDEN);
}

static bool happens(const struct responder_rule *rule, const struct responder_request *request,
                    enum draw which, double share)
{
    return share > 0 && random_unit(draw(rule, request, which)) < share;
}

uint64_t responder_rule_key(const struct responder_prefix *prefix, uint64_t seed)
{
    const uint64_t key[2] = {seed, RANDOM_GOLDEN};
    uint8_t bytes[18] = {prefix->address.family, prefix->length};

    memcpy(bytes + 2, prefix->address.bytes, 16);
    return siphash24(bytes, sizeof(bytes), key);
}

uint64_t responder_address_hash(const struct responder_rule *rule, const struct address *address)
{
    uint64_t high, low;

    memcpy(&high, address->bytes, 8);
    memcpy(&low, address->bytes + 8, 8);
    return random_mix(random_mix(rule->key ^ high) + low);
}

bool responder_is_dead(const struct responder_rule *rule, const struct address *address)
{
    double share = rule->profile.dead;

    return share >= 1 ||
           (share > 0 && random_unit(random_mix(responder_address_hash(rule, address) ^ SALT_DEAD)) < share);
}

bool responder_needs_memory(const struct responder_profile *profile)
{
    return profile->limit_per_s > 0 || profile->burst_enter > 0;
}

/* How long the address still stands still; 0: it does not. */
static uint64_t spike_left_ns(const struct responder_rule *rule, const struct responder_request *request)
{
    uint64_t spike_ns = rule->profile.spike_ns, left_ns = 0, cell, key;
    double chance;

    if (spike_ns == 0 || rule->profile.spike_every_ns == 0)
        return 0;
    chance = -expm1(-(double)spike_ns / (double)rule->profile.spike_every_ns);
    key = responder_address_hash(rule, &request->address) ^ SALT_SPIKE;
    cell = request->at_ns / spike_ns;
    for (uint64_t c = cell ? cell - 1 : 0; c <= cell; c++) {
        uint64_t random = random_mix(key + (2 * c + 1) * RANDOM_GOLDEN);
        uint64_t offset_ns =
            (uint64_t)(random_unit(random_mix(key + (2 * c + 2) * RANDOM_GOLDEN)) * (double)spike_ns);
        uint64_t start_ns = c * spike_ns + offset_ns;

        if (random_unit(random) < chance && start_ns <= request->at_ns)
            left_ns = max_u64(left_ns, sub_sat_u64(start_ns + spike_ns, request->at_ns));
    }
    return left_ns;
}

static double delay_ns(const struct responder_rule *rule, const struct responder_request *request)
{
    const struct responder_profile *profile = &rule->profile;
    double normal, delay;

    if (profile->distribution == RESPONDER_CONSTANT)
        return profile->delay_ns;
    /* Box and Muller, 1958. 1 - u is never 0. */
    normal = sqrt(-2 * log(1 - random_unit(draw(rule, request, DRAW_DELAY_RADIUS)))) *
             cos(2 * M_PI * random_unit(draw(rule, request, DRAW_DELAY_ANGLE)));
    delay = profile->distribution == RESPONDER_NORMAL ? profile->delay_ns + profile->spread * normal
                                                      : profile->delay_ns * exp(profile->spread * normal);
    return fmin(fmax(delay, 0), DELAY_MAX_NS);
}

/* One step of the chain, then loss by the state it is in now (Gilbert 1960, Elliott 1963). */
static bool lost_in_burst(const struct responder_rule *rule, const struct responder_request *request,
                          struct responder_memory *memory)
{
    const struct responder_profile *profile = &rule->profile;
    double u = random_unit(draw(rule, request, DRAW_BURST_STEP));
    bool bad = memory->burst == 2;

    if (memory->burst == 0) /* as if it had been going on for ever */
        bad = u < profile->burst_enter / (profile->burst_enter + profile->burst_leave);
    else if (u < (bad ? profile->burst_leave : profile->burst_enter))
        bad = !bad;
    memory->burst = bad ? 2 : 1;
    return happens(rule, request, DRAW_BURST_LOSS, bad ? profile->burst_bad : profile->burst_good);
}

/* The answers of another second do not count. */
static void touch(struct responder_memory *memory, uint64_t now_ns)
{
    uint32_t second = (uint32_t)(now_ns / NS_PER_S);

    if (memory->second != second)
        memory->answers = 0;
    memory->second = second;
}

static bool over_limit(const struct responder_rule *rule, struct responder_memory *memory)
{
    if (rule->profile.limit_per_s == 0)
        return false;
    if (memory->answers >= rule->profile.limit_per_s)
        return true;
    memory->answers++;
    return false;
}

static enum responder_verdict judge(const struct responder_rule *rule,
                                    const struct responder_request *request, struct responder_memory *memory)
{
    const struct responder_profile *profile = &rule->profile;
    bool too_big = profile->mtu_bytes && request->dont_fragment && request->size_bytes > profile->mtu_bytes;

    if (responder_is_dead(rule, &request->address))
        return RESPONDER_DEAD;
    if (profile->burst_enter > 0 && lost_in_burst(rule, request, memory))
        return RESPONDER_BURST;
    if (happens(rule, request, DRAW_LOSS, profile->loss))
        return RESPONDER_LOST;
    if (too_big && profile->mtu_silent)
        return RESPONDER_TOO_BIG;
    if (memory && over_limit(rule, memory))
        return RESPONDER_LIMITED;
    return too_big || happens(rule, request, DRAW_ERROR, profile->error) ? RESPONDER_ERROR : RESPONDER_REPLY;
}

/* What may happen to a reply, and not to an error. */
static void mistreat(struct responder_fate *fate, const struct responder_rule *rule,
                     const struct responder_request *request)
{
    const struct responder_profile *profile = &rule->profile;

    fate->duplicate = happens(rule, request, DRAW_DUPLICATE, profile->duplicate);
    fate->truncated = happens(rule, request, DRAW_TRUNCATE, profile->truncate);
    fate->wrong_source = happens(rule, request, DRAW_WRONG_SOURCE, profile->wrong_source);
    if (happens(rule, request, DRAW_CORRUPT, profile->corrupt)) {
        fate->corruption = profile->corruption;
        fate->noise = (uint32_t)draw(rule, request, DRAW_NOISE);
    }
}

struct responder_fate responder_decide(const struct responder_rule *rule,
                                       const struct responder_request *request,
                                       struct responder_memory *memory)
{
    const struct responder_profile *profile = &rule->profile;
    struct responder_fate fate = {0};
    uint64_t spike_ns;

    if (memory)
        touch(memory, request->at_ns);
    fate.verdict = judge(rule, request, memory);
    if (fate.verdict != RESPONDER_REPLY && fate.verdict != RESPONDER_ERROR)
        return fate;
    if (fate.verdict == RESPONDER_ERROR)
        fate.error = profile->mtu_bytes && request->dont_fragment && request->size_bytes > profile->mtu_bytes
                         ? RESPONDER_ERROR_FRAG_NEEDED
                         : profile->error_kind;
    else
        mistreat(&fate, rule, request);

    fate.late = happens(rule, request, DRAW_LATE, profile->late);
    if (fate.late) {
        fate.delay_ns = profile->late_ns;
        return fate;
    }
    spike_ns = spike_left_ns(rule, request);
    fate.spiked = spike_ns > 0;
    fate.reordered = !fate.spiked && happens(rule, request, DRAW_REORDER, profile->reorder);
    if (!fate.reordered)
        fate.delay_ns = spike_ns + (uint64_t)delay_ns(rule, request);
    return fate;
}
