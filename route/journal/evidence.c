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
            newest_ns = max_u64(newest_ns, health->first_missed_ns + input->host.select_timeout_ns / 2);
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
        if (health->proven_ns > silence_ns && health->proven_ns + input->host.window_ns >= input->now_ns)
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
