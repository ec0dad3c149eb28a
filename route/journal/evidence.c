/* SPDX-License-Identifier: Apache-2.0 */
#include "route/journal/evidence.h"

static bool answers(const struct selector_path *path)
{
    return path->health->state == HEALTH_UP && path->health->misses == 0 && path->link_usable;
}

bool evidence_answers(const struct evidence_path *path)
{
    return path->state == HEALTH_UP && !path->missing && path->link_usable;
}

/*
 * What is proven after this counts as life in every question that the selector asks about silence (the half
 * select-timeout is its own margin, see silent_since_ns() there).
 */
static uint64_t newest_silence_ns(const struct selector_input *input)
{
    uint64_t newest_ns = 0;

    for (uint32_t i = 0; i < input->path_count; i++) {
        const struct health *health = input->paths[i].health;

        if (answers(&input->paths[i]))
            continue;
        newest_ns = max_u64(newest_ns, health->last_reply_ns);
        if (health->first_missed_ns)
            newest_ns = max_u64(newest_ns, health->first_missed_ns + input->select_timeout_ns / 2);
    }
    return newest_ns;
}

void evidence_of_paths(const struct selector_input *input, struct evidence_path *paths)
{
    uint64_t silence_ns = newest_silence_ns(input);

    for (uint32_t i = 0; i < input->path_count; i++) {
        const struct selector_path *p = &input->paths[i];
        const struct health *h = p->health;
        bool fresh =
            answers(p) && h->proven_ns > silence_ns && h->proven_ns + input->window_ns >= input->now_ns;

        paths[i] = (struct evidence_path){
            .tier = p->tier,
            .state = h->state,
            .full_size = p->full_size,
            .pinned = p->pinned,
            .on_link = p->on_link,
            .link_usable = p->link_usable,
            .service_bad = p->service_bad,
            .service_good = p->service_good,
            .degraded = h->degraded,
            .missing = h->misses > 0,
            .loss_ppm = health_loss_ppm(h),
            .up_since_ns = h->up_since_ns,
            .first_missed_ns = h->first_missed_ns,
            .last_reply_ns = answers(p) ? EVIDENCE_NOW : h->last_reply_ns,
            .proven_ns = fresh ? EVIDENCE_NOW : h->proven_ns,
        };
    }
}

void evidence_of_access(const struct selector_input *input, uint32_t access, struct evidence_access *out)
{
    const struct selector_access *a = &input->accesses[access];

    *out = (struct evidence_access){
        .locality = a->locality,
        .session = a->session,
        .unlisted = a->unlisted,
        .restarts = a->restarts,
        .drained = a->drained,
        .stable_at_ns = a->stable_at_ns,
        .weight = a->weight,
    };
}

void evidence_of_host(const struct selector_input *input, const struct selector *selector,
                      struct evidence_host *out)
{
    *out = (struct evidence_host){
        .sessions_waived = input->sessions_waived,
        .list_arrived = input->list_arrived,
        .failback_now = input->failback_now,
        .pin_hard = input->pin_hard,
        .pin_now = input->pin_now,
        .window_ns = input->window_ns,
        .select_timeout_ns = input->select_timeout_ns,
        .hold_ns = input->hold_ns,
        .damping_max_ns = input->damping_max_ns,
        .cold_deadline_ns = input->cold_deadline_ns,
        .doubt_since_ns = selector->doubt_since_ns,
    };
}

void evidence_apply_path(const struct evidence_path *evidence, uint64_t now_ns, struct selector_path *path,
                         struct health *health)
{
    path->tier = evidence->tier;
    path->pinned = evidence->pinned;
    path->on_link = evidence->on_link;
    path->link_usable = evidence->link_usable;
    path->service_bad = evidence->service_bad;
    path->service_good = evidence->service_good;
    path->full_size = evidence->full_size;
    health->state = evidence->state;
    health->degraded = evidence->degraded;
    health->misses = evidence->missing;
    health->first_missed_ns = evidence->first_missed_ns;
    health->up_since_ns = evidence->up_since_ns;
    health->last_reply_ns = evidence->last_reply_ns == EVIDENCE_NOW ? now_ns : evidence->last_reply_ns;
    health->proven_ns = evidence->proven_ns == EVIDENCE_NOW ? now_ns : evidence->proven_ns;
    health->steady.buckets[0].requests = 1000000;
    health->steady.buckets[0].lost = evidence->loss_ppm;
}

void evidence_apply_access(const struct evidence_access *evidence, struct selector_access *access)
{
    access->locality = evidence->locality;
    access->session = evidence->session;
    access->unlisted = evidence->unlisted;
    access->restarts = evidence->restarts;
    access->drained = evidence->drained;
    access->stable_at_ns = evidence->stable_at_ns;
    access->weight = evidence->weight;
}

void evidence_apply_host(const struct evidence_host *evidence, struct selector_input *input)
{
    input->sessions_waived = evidence->sessions_waived;
    input->list_arrived = evidence->list_arrived;
    input->failback_now = evidence->failback_now;
    input->pin_hard = evidence->pin_hard;
    input->pin_now = evidence->pin_now;
    input->window_ns = evidence->window_ns;
    input->select_timeout_ns = evidence->select_timeout_ns;
    input->hold_ns = evidence->hold_ns;
    input->damping_max_ns = evidence->damping_max_ns;
    input->cold_deadline_ns = evidence->cold_deadline_ns;
}
