/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The agent and its tuning: what is observed is handed on, and the pair that is to be in force is put in force.
 *
 * The pair in force stands where the configured one stood, in the configuration of the running agent, so all who ask
 * for a select-timeout or a window get that of now. Only the tuning knows both.
 */
#include "route/agent/happening.h"
#include "route/agent/private.h"

#define PAIR_RETRY_NS (60 * NS_PER_S)

static void put_pair(struct config *config, const struct advice_pair *pair)
{
    config->probe.select_timeout_ns = pair->select_timeout_ns;
    config->probe.select_count = pair->select_count;
}

void agent_tune_config(const struct agent *agent, struct config *config, struct tuning_settings *settings)
{
    struct advice_pair pair;

    *settings = tuning_settings(config);
    pair = tuning_in_force(&agent->tuning, settings);
    put_pair(config, &pair);
}

void agent_tune_load(struct agent *agent)
{
    struct tuning *tuning = &agent->tuning;
    const struct tuning_settings settings = tuning_settings(agent->config);
    uint64_t now_ns = clock_now_ns(CLOCK_MONOTONIC);
    CLEANUP(free) char *text = NULL;
    struct advice_pair pair;
    size_t size_bytes = 0;

    tuning_configure(tuning, &settings);
    if (settings.mode != TUNING_OFF)
        text = state_load_tune(agent->config->state_directory, &size_bytes);
    if (text && tuning_take_text(tuning, text, size_bytes, now_ns) == -EINVAL)
        log_event(LOG_LEVEL_WARN, "not-read", "file=%s/%s error=%s", agent->config->state_directory,
                  kept_name(KEPT_TUNE),
                  LOG_QUOTE("it is damaged, or of another version: what was seen of the paths begins anew"));
    tuning_saved(tuning, now_ns);
    pair = tuning_in_force(tuning, &settings);
    put_pair(agent->config, &pair);
}

void agent_tune_save(struct agent *agent)
{
    CLEANUP(free) char *text = NULL;

    if (!agent->files.disk || agent->tuning.settings.mode == TUNING_OFF)
        return;
    text = tuning_text(&agent->tuning, agent->now_ns);
    disk_replace(agent->files.disk, KEPT_TUNE, text);
    tuning_saved(&agent->tuning, agent->now_ns);
}

void agent_tune_observe(struct agent *agent, uint32_t path, const struct probe_observation *observation)
{
    if (tuning_observe(&agent->tuning, &agent->host.table.paths[path].address, observation,
                       agent->config->probe.select_timeout_ns) == TUNING_FALSE_FAILOVER) {
        agent_tell(agent, &(struct happening){.kind = HAPPENED_FALSE_FAILOVER, .path = path});
        agent_tell(agent, &(struct happening){.kind = HAPPENED_PAIR});
    }
}

/* In `auto`: the rule's pair, if another one is in force. */
static void follow(struct agent *agent)
{
    struct advice_pair pair = tuning_in_force(&agent->tuning, &agent->tuning.settings);
    const struct config_probe *probe = &agent->config->probe;
    const struct advice_pair before = {probe->select_timeout_ns, probe->select_count};
    char message[256] = "out of memory";
    struct probe_stream *stream;

    if (advice_same_pair(&pair, &before) || agent->now_ns < agent->host.pair_ns)
        return;
    put_pair(agent->config, &pair);
    if (agent_stream_open(agent->config, &stream, message, sizeof(message)) < 0) {
        put_pair(agent->config, &before);
        agent->host.pair_ns = agent->now_ns + PAIR_RETRY_NS;
        log_event(LOG_LEVEL_WARN, "tune-not-followed", "retry_s=%.0f error=%s", PAIR_RETRY_NS / 1e9,
                  LOG_QUOTE(message));
        return;
    }
    agent_stream_install(agent, stream);
    agent->host.health_settings = agent_health_settings(agent->config);
    agent->host.egress_wanted = true;
    agent->host.egress_ns = 0;
    agent_egress_step(agent);
}

void agent_tune_step(struct agent *agent)
{
    const struct agent_service *service = &agent->service;
    bool down = service->current != SELECTOR_NO_PATH && service->origin == ORIGIN_SWITCHED &&
                service->switch_reason == SWITCH_PATH_DOWN;

    tuning_use(&agent->tuning,
               service->current == SELECTOR_NO_PATH ? NULL
                                                    : &agent->host.table.paths[service->current].address,
               down, agent->now_ns);
    if (tuning_step(&agent->tuning, agent->now_ns) == TUNING_ANOTHER_PAIR)
        agent_tell(agent, &(struct happening){.kind = HAPPENED_PAIR});
    if (agent->tuning.settings.mode == TUNING_AUTO)
        follow(agent);
    if (agent->now_ns >= agent->tuning.save_ns)
        agent_tune_save(agent);
}
