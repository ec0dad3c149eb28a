/* SPDX-License-Identifier: Apache-2.0 */
#include "route/decide/planned.h"

#define RETRY_NS     (1 * NS_PER_S) /* doubled with each try */
#define RETRY_MAX_NS (10 * NS_PER_S)
#define PATIENCE_NS  (10 * NS_PER_S)
#define TRIES_MAX    8 /* that are counted */

static void begin(struct planned *planned, const struct planned_input *input)
{
    *planned = (struct planned){
        .stage = PLANNED_PROBE, .to = input->to, .reason = input->reason, .begun_ns = input->now_ns};
}

static void wait_for_retry(struct planned *planned, uint64_t now_ns)
{
    planned->stage = PLANNED_WAIT;
    planned->retry_ns = now_ns + min_u64(RETRY_NS << planned->tries, RETRY_MAX_NS);
    if (planned->tries < TRIES_MAX)
        planned->tries++;
}

/* When the cluster is not waited for any more; NEVER_NS: nobody waits, or it is the path that does not answer. */
static uint64_t patience_end_ns(const struct planned *planned)
{
    if (planned->reason == SWITCH_FAILBACK || !planned->answered)
        return NEVER_NS;
    return planned->begun_ns + PATIENCE_NS;
}

static void abandon(struct planned *planned, struct planned_effects *effects)
{
    effects->abandoned = true;
    effects->abandoned_to = planned->to;
    effects->tell_current = planned->told;
    *planned = (struct planned){0};
}

static void lose_probe(struct planned *planned, const struct planned_input *input,
                       struct planned_effects *effects)
{
    effects->probe_lost = true;
    planned->answered = false;
    if (planned->reason != SWITCH_FAILBACK && planned->reason != SWITCH_FAILBACK_NOW) {
        wait_for_retry(planned, input->now_ns);
        return;
    }
    effects->tell_current = planned->told;
    *planned = (struct planned){0};
}

static enum planned_act after_probe(struct planned *planned, const struct planned_input *input,
                                    struct planned_effects *effects)
{
    switch (input->probe) {
    case PLANNED_NO_ANSWER:
        return input->asked ? PLANNED_DO_NOTHING : PLANNED_DO_PROBE;
    case PLANNED_NO:
        lose_probe(planned, input, effects);
        return PLANNED_DO_NOTHING;
    case PLANNED_YES:
        break;
    }
    if (!planned->answered)
        planned->begun_ns = input->now_ns; /* from here on it is the cluster that is waited for */
    planned->answered = true;
    planned->stage = input->can_tell ? PLANNED_TELL : PLANNED_MOVE;
    planned->told = planned->told || input->can_tell;
    return input->can_tell ? PLANNED_DO_TELL : PLANNED_DO_MOVE;
}

static enum planned_act go_on(struct planned *planned, const struct planned_input *input,
                              struct planned_effects *effects)
{
    switch (planned->stage) {
    case PLANNED_NONE:
        begin(planned, input);
        return PLANNED_DO_PROBE;
    case PLANNED_PROBE:
        return after_probe(planned, input, effects);
    case PLANNED_TELL:
        if (input->tell == PLANNED_YES) {
            planned->stage = PLANNED_MOVE;
            return PLANNED_DO_MOVE;
        }
        if (input->tell == PLANNED_NO)
            wait_for_retry(planned, input->now_ns);
        return PLANNED_DO_NOTHING;
    case PLANNED_MOVE: /* the kernel refused it, for this ends when the route stands */
        if (input->moving)
            return PLANNED_DO_NOTHING;
        planned->begun_ns = input->now_ns;
        wait_for_retry(planned, input->now_ns);
        return PLANNED_DO_NOTHING;
    case PLANNED_WAIT:
        if (input->now_ns < planned->retry_ns)
            return PLANNED_DO_NOTHING;
        planned->stage = PLANNED_PROBE;
        return PLANNED_DO_PROBE;
    }
    return PLANNED_DO_NOTHING;
}

void planned_step(struct planned *planned, const struct planned_input *input, struct planned_effects *effects)
{
    *effects = (struct planned_effects){.to = input->to};
    if (planned->stage != PLANNED_NONE &&
        (!input->wanted || input->to != planned->to || input->reason != planned->reason))
        abandon(planned, effects);
    if (!input->wanted)
        return;
    effects->act = go_on(planned, input, effects);
    if (planned->stage == PLANNED_MOVE || input->now_ns < patience_end_ns(planned))
        return;
    planned->stage = PLANNED_MOVE;
    effects->untold = true;
    effects->act = PLANNED_DO_MOVE;
}

uint64_t planned_deadline_ns(const struct planned *planned)
{
    switch (planned->stage) {
    case PLANNED_NONE:
    case PLANNED_MOVE:
        return NEVER_NS;
    case PLANNED_WAIT:
        return min_u64(planned->retry_ns, patience_end_ns(planned));
    case PLANNED_PROBE:
    case PLANNED_TELL:
        break;
    }
    return patience_end_ns(planned);
}
