/* SPDX-License-Identifier: Apache-2.0 */
/* The responder's model behind the simulated transport, see simulation.h. */
#include "bench/tune/simulation.h"

#include <netinet/ip_icmp.h>

#define IP_HEADER_BYTES 20
#define FIRST_HOST      10

static struct responder_fate decide(struct simulation *simulation, const struct packet_out *packet,
                                    uint64_t at_ns, struct responder_memory *memory)
{
    struct responder_request request = {
        .number = simulation->number++,
        .at_ns = at_ns,
        .address = packet->to,
        .size_bytes = packet->size_bytes + IP_HEADER_BYTES,
        .dont_fragment = packet->dont_fragment,
    };

    return responder_decide(&simulation->rule, &request, memory);
}

/* Lets the address live through the ticks since its last request. */
static void pass_ticks(struct simulation *simulation, const struct packet_out *packet, size_t n,
                       uint64_t at_ns)
{
    uint64_t tick = at_ns / simulation->tick_ns;

    if (simulation->rule.profile.burst_enter > 0 && simulation->memories[n].burst)
        while (++simulation->ticks[n] < tick)
            decide(simulation, packet, at_ns, &simulation->memories[n]);
    simulation->ticks[n] = tick;
}

static int answer(void *context, struct simulated *network, const struct packet_out *packet)
{
    struct simulation *simulation = context;
    size_t n = (size_t)(packet->to.bytes[3] - FIRST_HOST) % SIMULATION_ADDRESSES;
    uint64_t at_ns = simulated_now_ns(network) - simulation->began_ns;
    struct responder_fate fate;
    int r = 0;

    pass_ticks(simulation, packet, n, at_ns);
    fate = decide(simulation, packet, at_ns, &simulation->memories[n]);
    if (fate.verdict == RESPONDER_ERROR)
        return simulated_error(network, packet, &packet->to, ICMP_DEST_UNREACH, ICMP_HOST_UNREACH, 0,
                               packet->size_bytes, fate.delay_ns);
    if (fate.verdict != RESPONDER_REPLY || fate.corruption != RESPONDER_INTACT || fate.truncated ||
        fate.wrong_source)
        return 0;
    /* In no time at all it would overtake the verdict on the request before it, which is due when this one
     * leaves. */
    for (int copies = fate.duplicate ? 2 : 1; r == 0 && copies > 0; copies--)
        r = simulated_reply(network, packet, max_u64(fate.delay_ns, NS_PER_US));
    return -r;
}

int simulation_open(struct transport **out, struct simulation *simulation,
                    const struct responder_profile *profile, uint64_t tick_ns, uint64_t seed)
{
    int r;

    *simulation = (struct simulation){
        .rule.profile = *profile,
        .script = {.request = answer, .context = simulation},
        .tick_ns = tick_ns,
    };
    responder_prefix_parse(&simulation->rule.prefix, SIMULATION_PREFIX);
    simulation->rule.key = responder_rule_key(&simulation->rule.prefix, seed);
    r = simulated_open(out, &simulation->script);
    if (r == 0)
        simulation->began_ns = simulated_now_ns(simulated_of(*out));
    return r;
}

struct address simulation_address(size_t n)
{
    return (struct address){.family = AF_INET, .bytes = {10, 77, 0, (uint8_t)(FIRST_HOST + n)}};
}
