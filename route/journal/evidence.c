/* SPDX-License-Identifier: Apache-2.0 */
#include "route/journal/evidence.h"

bool evidence_answers(const struct path_evidence *path)
{
    return path->health.state == HEALTH_UP && !path->health.missing && path->link_usable;
}

/*
 * What is proven after this counts as life in every question that the selector asks about silence (the half
 * select-timeout is its own margin, see silent_since_ns() there).
 */
static uint64_t newest_silence_ns(const struct selector_input *input)
{
    uint64_t newest_ns = 0;

    for (uint32_t i = 0; i < input->path_count; i++) {
        const struct health_evidence *health = &input->paths[i].health;

        if (evidence_answers(&input->paths[i]))
            continue;
        newest_ns = max_u64(newest_ns, health->last_reply_ns);
        if (health->first_missed_ns)
            newest_ns = max_u64(newest_ns, health->first_missed_ns + input->select_timeout_ns / 2);
    }
    return newest_ns;
}

void evidence_of_paths(const struct selector_input *input, struct path_evidence *paths)
{
    uint64_t silence_ns = newest_silence_ns(input);

    for (uint32_t i = 0; i < input->path_count; i++) {
        struct health_evidence *health = &paths[i].health;

        paths[i] = input->paths[i];
        if (!evidence_answers(&paths[i]))
            continue;
        health->last_reply_ns = EVIDENCE_NOW;
        if (health->proven_ns > silence_ns && health->proven_ns + input->window_ns >= input->now_ns)
            health->proven_ns = EVIDENCE_NOW;
    }
}

struct path_evidence evidence_at(struct path_evidence path, uint64_t now_ns)
{
    if (path.health.last_reply_ns == EVIDENCE_NOW)
        path.health.last_reply_ns = now_ns;
    if (path.health.proven_ns == EVIDENCE_NOW)
        path.health.proven_ns = now_ns;
    return path;
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
