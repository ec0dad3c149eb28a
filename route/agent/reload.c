/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From a configuration to what runs by it, at the start and at each reload.
 *
 * A reload opens everything the new configuration needs before it gives anything up; what cannot be opened
 * leaves the old one in force. The route is not touched by it, and what it does not change goes on: requests
 * that are under way, counted misses, service checks.
 */
#include "route/agent/private.h"

static void on_stream(evutil_socket_t fd, short what, void *context)
{
    agent_step(context);
}

struct health_settings agent_health_settings(const struct config *config)
{
    return (struct health_settings){
        .select_timeout_ns = config->probe.select_timeout_ns,
        .select_count = config->probe.select_count,
        .rise = config->probe.rise,
        .degraded_percent = config->probe.degraded_percent,
        /* Long enough for the requests that tell whether it is clean again. */
        .degraded_over_ns = max_u64(config->probe.degraded_over_ns, 25 * config->probe.select_timeout_ns),
        .hold_ns = config->route.hold_ns,
    };
}

int agent_stream_open(const struct config *config, struct probe_stream **out, char *message,
                      size_t size_bytes)
{
    struct probe_settings settings = probe_settings_default();

    settings.transport = config->probe.transport;
    settings.select_timeout_ns = config->probe.select_timeout_ns;
    settings.select_count = config->probe.select_count;
    settings.payload_bytes = config->probe.payload_bytes;
    settings.dont_fragment = true;
    settings.tos = config->probe.tos;
    settings.mark = config->probe.mark;
    return probe_stream_new(out, &settings, message, size_bytes);
}

int agent_watch_stream(struct agent *agent)
{
    if (agent->loop.stream_event)
        event_free(agent->loop.stream_event);
    agent->loop.stream_event = event_new(agent->loop.base, probe_stream_fd(agent->host.stream),
                                         EV_READ | EV_PERSIST, on_stream, agent);
    return agent->loop.stream_event && event_add(agent->loop.stream_event, NULL) == 0 ? 0 : -ENOMEM;
}

/* What cannot change while the agent runs; NULL: nothing of it has. */
static const char *needs_restart(const struct config *old, const struct config *new)
{
    if (!address_equal(&old->service, &new->service))
        return "service";
    if (strcmp(old->control_socket, new->control_socket) != 0)
        return "control-socket";
    if (strcmp(old->state_directory, new->state_directory) != 0)
        return "state-directory";
    if (strcmp(old->metrics_listen, new->metrics_listen) != 0)
        return "metrics-listen";
    if (old->route.table != new->route.table || old->route.metric != new->route.metric ||
        old->route.protocol != new->route.protocol || strcmp(old->route.backend, new->route.backend) != 0)
        return "route table, metric, protocol or backend";
    if (strcmp(old->route.command, new->route.command) != 0 ||
        strcmp(old->route.netstack, new->route.netstack) != 0 ||
        old->route.command_timeout_ns != new->route.command_timeout_ns)
        return "route-command, netstack or command-timeout";
    return NULL;
}

/* Does the new configuration probe as the old one does? Then the stream goes on, with what is under way. */
static bool probes_alike(const struct config_probe *a, const struct config_probe *b)
{
    return a->select_timeout_ns == b->select_timeout_ns && a->select_count == b->select_count &&
           a->payload_bytes == b->payload_bytes && a->tos == b->tos && a->mark == b->mark &&
           strcmp(a->transport, b->transport) == 0;
}

/* The same for the cluster; the files of a token and of certificates are read again by every reload. */
static bool asks_alike(const struct config_session *a, const struct config_session *b)
{
    struct config_session x = *a, y = *b;

    if (a->token_file[0] || a->ca_file[0] || a->client_address_count != b->client_address_count)
        return false;
    for (size_t i = 0; i < a->client_address_count; i++)
        if (!address_equal(&a->client_addresses[i], &b->client_addresses[i]))
            return false;
    x.client_addresses = y.client_addresses = NULL;
    return memcmp(&x, &y, sizeof(x)) ==
           0; /* padding may differ: then what is alike is opened anew, no harm */
}

/* The selector decides for it again. */
static void forget_planned(struct agent *agent)
{
    if (agent->service.planned.told) {
        telling_cancel(&agent->telling, agent->provider);
        telling_again(&agent->telling);
    }
    agent->service.planned = (struct planned){0};
    agent->service.probe_answer = agent->service.tell_answer = PLANNED_NO_ANSWER;
}

/* The ids of the paths belong to the old stream. */
void agent_stream_install(struct agent *agent, struct probe_stream *stream)
{
    for (uint32_t i = 0; i < agent->host.table.path_count; i++)
        agent->host.table.paths[i].probing.streamed = false;
    forget_planned(agent); /* its probe is under way in the old one */
    probe_stream_free(agent->host.stream);
    agent->host.stream = stream;
    agent_watch_stream(agent);
}

/* What the old one has under way is not answered any more. */
static void install_provider(struct agent *agent, struct session_provider *provider)
{
    session_provider_free(agent->provider);
    agent->provider = provider;
    forget_planned(agent);
    lists_provider_changed(&agent->lists);
    telling_provider_changed(&agent->telling);
}

/* Takes over what has been opened for the new configuration; nothing can fail from here on but memory. */
static void install_config(struct agent *agent, struct config *config, const struct tuning_settings *tuning,
                           struct probe_stream *stream, struct session_provider *provider,
                           struct presence *presence, struct agent_table *table)
{
    struct session_liveness_settings liveness = lists_liveness_settings(config);
    struct config *old_config = agent->config;

    agent->config = config;
    if (strcmp(old_config->observe_file, config->observe_file) != 0)
        agent_observe_install(agent, presence);
    if (stream)
        agent_stream_install(agent, stream);
    if (provider)
        install_provider(agent, provider);
    agent->host.health_settings = agent_health_settings(config);
    tuning_configure(&agent->tuning, tuning);
    session_liveness_configure(agent->lists.liveness, &liveness);
    journal_renew(agent->files.journal, "reload");
    agent_table_install(agent, table);
    config_free(old_config);
}

void agent_warn_config(const struct agent *agent)
{
    const char *warning = config_warning(agent->config);
    const char *flaw = session_provider_flaw(agent->provider);

    if (warning)
        log_event(LOG_LEVEL_WARN, "token-in-clear", "hint=%s", LOG_QUOTE(warning));
    if (flaw)
        log_event(LOG_LEVEL_WARN, "not-watched", "hint=%s", LOG_QUOTE(flaw));
}

void agent_open_log(const struct agent *agent)
{
    const struct config_log *log = &agent->config->log;

    if (!agent->options->dry_run)
        log_to_file(&(struct log_file_settings){
            .path = log->file, .link = log->link, .size_bytes = log->size_bytes, .keep = log->keep});
}

void agent_reload(struct agent *agent)
{
    CLEANUP(config_free) struct config *config = NULL;
    CLEANUP(probe_stream_free) struct probe_stream *stream = NULL;
    CLEANUP(session_provider_free) struct session_provider *provider = NULL;
    CLEANUP(presence_close) struct presence *presence = NULL;
    struct agent_table table = {0};
    struct tuning_settings tuning;
    char message[512] = "out of memory";
    const char *fixed;
    int error;

    agent->now_ns = probe_stream_now_ns(agent->host.stream);
    error = config_load(&config, agent->options->config_path, message, sizeof(message));
    fixed = error ? NULL : needs_restart(agent->config, config);
    if (fixed) {
        snprintf(message, sizeof(message), "%s cannot change while the agent runs: restart it", fixed);
        error = -EBUSY;
    }
    if (!error)
        agent_tune_config(agent, config, &tuning);
    if (!error && !probes_alike(&agent->config->probe, &config->probe))
        error = agent_stream_open(config, &stream, message, sizeof(message));
    if (!error && !asks_alike(&agent->config->session, &config->session))
        error = config_session_provider(&provider, agent->loop.base, config, message, sizeof(message));
    if (!error && strcmp(agent->config->observe_file, config->observe_file) != 0)
        error = agent_observe_open(agent, config, &presence);
    if (!error)
        error = agent_build_table(agent, config, &table);
    if (error) {
        agent_open_log(agent);
        log_event(LOG_LEVEL_ERROR, "reload-refused", "kept=old error=%s", LOG_QUOTE(message));
        return;
    }
    install_config(agent, TAKE(config), &tuning, TAKE(stream), TAKE(provider), TAKE(presence), &table);
    agent_open_log(agent);
    log_event(LOG_LEVEL_INFO, "reload", "config=%s accesses=%u paths=%u",
              LOG_VALUE(agent->options->config_path), agent->host.table.access_count,
              agent->host.table.path_count);
    agent_warn_config(agent);
}
