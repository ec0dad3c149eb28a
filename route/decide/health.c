/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Path health, see health.h for the rules. One struct per path, owned by the agent; nothing here allocates,
 * asks a clock or knows of other paths: what a verdict leads to is decided in selector.c.
 */
#include "route/decide/health.h"

const char *health_state_text(enum health_state state)
{
    static const char *const text[] = {"unknown", "up", "down"};

    return text[state];
}

uint32_t health_loss_ppm(const struct health *health)
{
    return loss_span_ppm(&health->steady);
}

struct health_evidence health_evidence(const struct health *health)
{
    return (struct health_evidence){
        .state = health->state,
        .degraded = health->degraded,
        .missing = health->misses > 0,
        .losing = health->replies < HEALTH_LOSSLESS,
        .loss_ppm = health_loss_ppm(health),
        .up_since_ns = health->up_since_ns,
        .first_missed_ns = health->first_missed_ns,
        .last_reply_ns = health->last_reply_ns,
        .proven_ns = health->proven_ns,
    };
}

/* --- degraded --- */

static bool may_be_degraded(const struct health_settings *settings)
{
    return settings->degraded_percent < 100;
}

static void become_degraded(struct health *health)
{
    health->degraded = true;
    health->up_since_ns = 0;
    health->alarm = (struct loss_test){0};
    health->recent = (struct loss_span){0};
}

static bool is_clean_again(const struct health *health, const struct health_settings *settings,
                           uint64_t now_ns)
{
    return now_ns >= health->recent.begun_ns + settings->degraded_over_ns &&
           loss_span_ppm(&health->recent) <= settings->degraded_percent * 10000 / 2;
}

/* So many requests of one stretch, so many of them lost in one run. */
static void count_loss(struct health *health, const struct health_settings *settings, uint64_t now_ns,
                       uint32_t requests, uint32_t lost)
{
    if (health->degraded)
        loss_span_count(&health->recent, settings->degraded_over_ns, now_ns, requests, lost);
    else if (lost && may_be_degraded(settings))
        loss_test_loss(&health->alarm, settings->degraded_percent, lost, &health->steady);
    loss_span_count(&health->steady, settings->hold_ns, now_ns, requests, lost);
}

static void take_back_loss(struct health *health, const struct health_settings *settings)
{
    loss_span_take_back(&health->steady);
    loss_span_take_back(&health->recent);
    loss_test_take_back(&health->alarm, settings->degraded_percent);
}

/* By a reply that came in time: behind a standstill the late ones are there first. */
static void judge_degraded(struct health *health, const struct health_settings *settings, uint64_t now_ns)
{
    if (health->degraded && is_clean_again(health, settings, now_ns)) {
        health->degraded = false;
        health->up_since_ns = now_ns;
        health->run_since_ns = now_ns; /* should a late reply take back a verdict of down */
    }
    if (!may_be_degraded(settings))
        return;
    loss_test_answer(&health->alarm, settings->degraded_percent);
    if (!health->degraded && loss_test_alarms(&health->alarm, settings->degraded_percent,
                                              health_pace(settings->select_timeout_ns), 0))
        become_degraded(health);
}

bool health_is_doubtful(const struct health *health, const struct health_settings *settings)
{
    return health->state == HEALTH_UP && !health->degraded && may_be_degraded(settings) &&
           loss_test_alarms(&health->alarm, settings->degraded_percent,
                            health_pace(settings->select_timeout_ns), HEALTH_DOUBT_LOSSES);
}

static void become_up(struct health *health)
{
    bool first = health->state == HEALTH_UNKNOWN;

    health->state = HEALTH_UP;
    health->up_since_ns = health->run_since_ns;
    if (first && health->restored_up_ns)
        health->up_since_ns = min_u64(health->restored_up_ns, health->run_since_ns);
    health->restored_up_ns = 0;
    health->degraded = false;
    /* What was lost while it was down says nothing about how good it is now. */
    health->steady = (struct loss_span){0};
    health->alarm = (struct loss_test){0};
}

static void become_down(struct health *health)
{
    health->state = HEALTH_DOWN;
    health->degraded = false;
    health->up_since_ns = 0;
}

void health_link_lost(struct health *health)
{
    become_down(health);
    health->replies = 0;
    health->replies_before = 0;
}

void health_restore(struct health *health, uint64_t up_since_ns)
{
    if (health->state == HEALTH_UNKNOWN)
        health->restored_up_ns = up_since_ns;
}

static void observe_life(struct health *health, const struct health_settings *settings,
                         const struct probe_observation *observation)
{
    bool late = observation->outcome == PROBE_LATE;
    uint32_t missed = health->misses;

    health->misses = 0;
    health->first_missed_ns = 0;
    health->silent_ns = 0;
    health->last_reply_ns = max_u64(health->last_reply_ns, observation->at_ns);
    health->proven_ns = max_u64(health->proven_ns, observation->sent_ns);
    health->rtt_ns = health->rtt_ns ? health->rtt_ns - health->rtt_ns / 8 + observation->rtt_ns / 8
                                    : max_u64(observation->rtt_ns, 1);
    /* Else a path whose every reply takes longer than select-timeout would never come up. */
    if (late && missed == 1)
        health->replies = health->replies_before;
    if (health->replies++ == 0)
        health->run_since_ns = observation->at_ns;
    if (health->state != HEALTH_UP) {
        if (health->replies >= settings->rise)
            become_up(health);
        return;
    }
    /* The request of a late reply has been counted by its timeout: in this run of misses or before it. */
    count_loss(health, settings, observation->at_ns, missed + !late, missed);
    if (late)
        take_back_loss(health, settings);
    else
        judge_degraded(health, settings, observation->at_ns);
}

static bool is_window_over(const struct health *health, const struct health_settings *settings,
                           enum probe_outcome outcome)
{
    uint64_t waited_ns = outcome == PROBE_TIMEOUT ? settings->select_timeout_ns : 0;
    /* Half of the shortest pause between two requests: one that left a little early makes nothing late. */
    uint64_t slack_ns = settings->select_timeout_ns / 4;

    return health->misses >= settings->select_count &&
           health->silent_ns + waited_ns + slack_ns >= settings->select_timeout_ns * settings->select_count;
}

static void observe_miss(struct health *health, const struct health_settings *settings,
                         const struct probe_observation *observation)
{
    if (health->misses++ == 0) {
        health->first_missed_ns = observation->sent_ns;
        health->replies_before = health->replies;
    }
    health->replies = 0;
    if (health->newest_ns)
        health->silent_ns +=
            min_u64(sub_sat_u64(observation->sent_ns, health->newest_ns), settings->select_timeout_ns);
    if (health->state != HEALTH_DOWN && is_window_over(health, settings, observation->outcome))
        become_down(health);
}

/* It went unanswered, but a later one has been answered meanwhile. */
static void observe_loss(struct health *health, const struct health_settings *settings,
                         const struct probe_observation *observation)
{
    health->replies = 0;
    if (health->state != HEALTH_UP)
        return;
    count_loss(health, settings, observation->at_ns, 1, 1);
}

void health_observe(struct health *health, const struct health_settings *settings,
                    const struct probe_observation *observation)
{
    switch (observation->outcome) {
    case PROBE_REPLY:
    case PROBE_LATE:
        observe_life(health, settings, observation);
        break;
    case PROBE_TIMEOUT:
    case PROBE_UNREACHABLE:
    case PROBE_FRAG_NEEDED:
    case PROBE_SEND_FAILED:
        if (observation->sent_ns < health->proven_ns)
            observe_loss(health, settings, observation);
        else
            observe_miss(health, settings, observation);
        break;
    case PROBE_DUPLICATE:
        return;
    }
    health->newest_ns = max_u64(health->newest_ns, observation->sent_ns);
    health->last = observation->outcome;
    health->error = observation->error;
}
