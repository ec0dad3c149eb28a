/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The metrics, as Prometheus text (exposition format, version 0.0.4).
 *
 * A series is there for as long as what it is about is there: those of a path or an access go with it. What is not
 * known has no sample. Names, types and units are those of the Prometheus documentation ("Metric and label naming").
 */
#include <event2/buffer.h>

#include "probe/text.h"
#include "route/agent/private.h"

#define LABEL_SIZE (2 * TEXT_SIZE)

/* What a label has between its quotes is escaped once more: a backslash is an escape there. */
static const char *label(const char *text, char buffer[static LABEL_SIZE])
{
    return text_quote(TEXT(text), buffer, LABEL_SIZE);
}

static double seconds(uint64_t ns)
{
    return (double)ns / (double)NS_PER_S;
}

static void add_head(struct evbuffer *out, const char *name, const char *type, const char *help)
{
    evbuffer_add_printf(out, "# HELP reroute_%s %s\n# TYPE reroute_%s %s\n", name, help, name, type);
}

static void add_metric(struct evbuffer *out, const char *name, const char *type, const char *help,
                       double value)
{
    add_head(out, name, type, help);
    evbuffer_add_printf(out, "reroute_%s %.17g\n", name, value);
}

/* --- the route --- */

static double hang_seconds(const struct agent *agent)
{
    uint64_t silent_ns = guard_silent_since_ns(agent->service.guard);

    return silent_ns ? seconds(sub_sat_u64(agent->now_ns, silent_ns)) : 0;
}

static void add_switches(const struct agent *agent, struct evbuffer *out)
{
    add_head(out, "switches_total", "counter", "Switches of the route, by their reason.");
    for (int i = SWITCH_COLD_START; i < SELECTOR_REASONS; i++)
        evbuffer_add_printf(out, "reroute_switches_total{reason=\"%s\"} %" PRIu64 "\n",
                            selector_reason_text((enum selector_reason)i), agent->service.switches[i]);
}

static void add_failback(const struct agent *agent, struct evbuffer *out)
{
    const struct selector_decision *decision = &agent->service.decision;

    add_head(out, "failback_wait_seconds", "gauge",
             "Until the route returns to a better path, if it stays well.");
    if (decision->candidate != SELECTOR_NO_PATH && decision->candidate_at_ns != NEVER_NS)
        evbuffer_add_printf(out, "reroute_failback_wait_seconds %.9g\n",
                            seconds(sub_sat_u64(decision->candidate_at_ns, agent->now_ns)));
}

static void add_route(const struct agent *agent, struct evbuffer *out)
{
    const struct keeper_report *report = guard_report(agent->service.guard);
    bool there = agent->service.current != SELECTOR_NO_PATH;

    add_metric(out, "route_present", "gauge", "There is a route to the service, and packets have a way.",
               there && report->packets != PACKETS_NOWHERE);
    add_metric(out, "route_local", "gauge", "The service is entered through the local access.",
               agent_table_is_local(&agent->host.table, agent->service.current));
    add_head(out, "route_since_timestamp_seconds", "gauge",
             "Since when the route leads where it does, Unix time.");
    if (there)
        evbuffer_add_printf(out, "reroute_route_since_timestamp_seconds %.3f\n",
                            seconds(agent->service.since_realtime_ns));
    add_metric(out, "route_shadowed", "gauge", "A foreign route or rule hides ours.",
               report->packets == PACKETS_SHADOWED);
    add_metric(out, "route_redirected", "gauge", "An ICMP redirect sends packets elsewhere.",
               report->packets == PACKETS_REDIRECTED);
    add_metric(out, "redirects_undone_total", "counter", "Times our route was renewed because of a redirect.",
               (double)report->redirects);
    add_metric(out, "repairs_total", "counter", "Times the route was put right.", (double)report->repairs);
    add_metric(out, "route_command_hang_seconds", "gauge",
               "For how long the route command has not answered; 0: it does.", hang_seconds(agent));
    add_switches(agent, out);
    add_failback(agent, out);
}

static void add_tune(const struct agent *agent, struct evbuffer *out)
{
    const struct config_probe *probe = &agent->config->probe;
    const struct tuning *tuning = &agent->tuning;

    add_metric(out, "window_seconds", "gauge", "select-timeout times select-count, as they are in force.",
               seconds(probe->select_timeout_ns * probe->select_count));
    add_metric(out, "tune_window_seconds", "gauge", "The same of the pair that tune advises; 0: none.",
               tuning_advises(tuning) ? seconds(advice_window_ns(&tuning->rule.in_force)) : 0);
    add_metric(out, "tune_watched_seconds", "gauge", "For how long tune has watched the path in use.",
               tuning->in_use ? tuning->in_use->record.spans[RECORD_MONTH].watched_s : 0);
    add_metric(out, "false_failovers_total", "counter",
               "Failovers from a path that answered again within the longest window.",
               (double)tuning->false_failovers);
}

/* --- what the agent is and does --- */

/* For how long this order holds; 0: it has no end, or there is none. */
static double seconds_left(const struct terms *terms)
{
    return terms ? seconds(sub_sat_u64(terms->until_ns, clock_now_ns(CLOCK_REALTIME))) : 0;
}

static void add_build(const struct agent *agent, struct evbuffer *out)
{
    char version[LABEL_SIZE];

    add_head(out, "build_info", "gauge", "1; the version that runs, and the digest of its configuration.");
    evbuffer_add_printf(out, "reroute_build_info{version=%s,config=\"%016" PRIx64 "\"} 1\n",
                        label(agent->options->version, version), agent->config->digest);
}

static void add_agent(const struct agent *agent, struct evbuffer *out)
{
    struct notifier_report notify;

    notifier_report(agent->news.notifier, &notify);
    add_metric(out, "agent_up", "gauge", "The agent answers.", 1);
    add_build(agent, out);
    add_metric(out, "pinned", "gauge", "A person has pinned an access or a path.",
               agent->orders.pin[0] != '\0');
    add_metric(out, "pin_left_seconds", "gauge", "For how long; 0: it has no end.",
               seconds_left(&agent->orders.pin_terms));
    add_metric(out, "observe_only", "gauge", "The agent decides and says so, but touches nothing.",
               !agent_situation(agent).acts);
    add_metric(out, "observe_file_known", "gauge", "It is known whether the file of observe-file is there.",
               agent->observing.state.error == 0);
    add_metric(out, "state_kept", "gauge", "Every file of the state directory can be written.",
               kept_all(&agent->files.kept));
    add_metric(out, "notify_runs_total", "counter", "Runs of the program that is told of changes.",
               (double)notify.runs);
    add_metric(out, "notify_failures_total", "counter", "Those of them that failed.",
               (double)notify.failures);
    add_metric(out, "log_lines_lost_total", "counter", "Lines of the log that found no room where they go.",
               (double)log_lines_lost());
}

/* --- evidence --- */

static void add_witness(const struct agent *agent, struct evbuffer *out)
{
    const struct tcp_watch *watch = &agent->service.watch;

    add_metric(out, "witness_connections", "gauge",
               "Open TCP connections of this host to the service, as looked at.",
               (double)watch->witness.count);
    add_metric(out, "witness_stalled", "gauge", "Their data wait for a window, and none makes progress.",
               watch->verdict.says == WITNESS_STALLED);
    add_metric(out, "witness_contradicts", "gauge",
               "They make progress though the pings of the path in use are lost.",
               watch->verdict.contradicted_ns != 0);
}

static void add_probe(const struct agent *agent, struct evbuffer *out)
{
    const struct probe_counters *counters = probe_stream_counters(agent->host.stream);

    add_metric(out, "probe_requests_total", "counter", "Echo requests sent.", (double)counters->sent);
    add_metric(out, "probe_replies_total", "counter", "Valid replies in time.", (double)counters->replies);
    add_metric(out, "probe_late_replies_total", "counter", "Valid replies after select-timeout.",
               (double)counters->late);
    add_metric(out, "probe_send_failures_total", "counter", "Requests that found no way out.",
               (double)counters->send_failures);
    add_metric(out, "probe_receive_drops_total", "counter", "Replies lost in our own buffer.",
               (double)counters->receive_drops);
    add_metric(out, "probe_stalls_total", "counter",
               "Times the agent did not run when it should have, by more than a quarter of select-timeout.",
               (double)counters->stalls);
}

static void add_cluster(const struct agent *agent, struct evbuffer *out)
{
    const struct situation now = agent_situation(agent);

    add_metric(out, "session_list_age_seconds", "gauge", "Since the last fresh session list, or the start.",
               seconds(lists_age_ns(&agent->lists, &now)));
    add_metric(out, "session_lists_overdue", "gauge", "No fresh session list for too long.",
               agent->lists.overdue);
    add_metric(out, "session_list_failures_total", "counter", "Questions for a session list that failed.",
               (double)agent->lists.polls.failures);
    add_metric(out, "refresh_failures_total", "counter",
               "Times the cluster could not be told where this host enters.",
               (double)agent->telling.refresh.failures);
    add_metric(out, "heartbeat_failures_total", "counter", "Heartbeats that failed.",
               (double)agent->telling.heartbeat.failures);
}

/* --- one sample for each access --- */

static double access_alive(const struct agent *agent, uint32_t access)
{
    enum session_state state = agent->host.table.accesses[access].view.state;

    return state == SESSION_ALIVE || state == SESSION_STABLE;
}

static double access_restarts(const struct agent *agent, uint32_t access)
{
    return agent->host.table.accesses[access].view.restarts;
}

static double access_local(const struct agent *agent, uint32_t access)
{
    return agent->host.table.selector_accesses[access].locality == LOCALITY_LOCAL;
}

static double access_drained(const struct agent *agent, uint32_t access)
{
    return agent->host.table.selector_accesses[access].drained;
}

static double access_drain_left(const struct agent *agent, uint32_t access)
{
    const struct drain *drain = orders_drain_of(&agent->orders, agent->host.table.accesses[access].name);

    return seconds_left(drain ? &drain->terms : NULL);
}

static void add_access_metric(const struct agent *agent, struct evbuffer *out, const char *name,
                              const char *help, double (*value)(const struct agent *, uint32_t))
{
    char access[LABEL_SIZE];

    add_head(out, name, "gauge", help);
    for (uint32_t i = 0; i < agent->host.table.access_count; i++)
        evbuffer_add_printf(out, "reroute_%s{access=%s} %.9g\n", name,
                            label(agent->host.table.accesses[i].name, access), value(agent, i));
}

static void add_accesses(const struct agent *agent, struct evbuffer *out)
{
    add_access_metric(agent, out, "access_local", "The access is on this host's own machine.", access_local);
    add_access_metric(agent, out, "access_drained", "A person has drained it.", access_drained);
    add_access_metric(agent, out, "access_drain_left_seconds", "For how long; 0: it has no end.",
                      access_drain_left);
    add_access_metric(agent, out, "session_alive", "The last lists say that its session is alive.",
                      access_alive);
    add_access_metric(agent, out, "session_restarts", "Restarts of its session in the last five minutes.",
                      access_restarts);
}

/* --- one sample for each path --- */

static double path_current(const struct agent *agent, uint32_t path)
{
    return path == agent->service.current;
}

static double path_up(const struct agent *agent, uint32_t path)
{
    return agent->host.table.paths[path].health.state == HEALTH_UP;
}

static double path_eligible(const struct agent *agent, uint32_t path)
{
    struct selector_input input;

    agent_fill_input(agent, &input);
    return selector_level_of(&input, path) <= LEVEL_DEGRADED;
}

static double path_service_down(const struct agent *agent, uint32_t path)
{
    return agent->host.table.selector_paths[path].service_bad;
}

static double path_rtt(const struct agent *agent, uint32_t path)
{
    return seconds(agent->host.table.paths[path].health.rtt_ns);
}

static double path_loss(const struct agent *agent, uint32_t path)
{
    return health_loss_ppm(&agent->host.table.paths[path].health) / 1e6;
}

/* access="node1",tier="data",address="10.0.0.1" */
static const char *path_labels(const struct agent *agent, uint32_t path, char *buffer, size_t size_bytes)
{
    const struct agent_table *table = &agent->host.table;
    char access[LABEL_SIZE];

    snprintf(buffer, size_bytes, "access=%s,tier=\"%s\",address=\"%s\"",
             label(agent_table_access_name(table, path), access),
             selector_tier_text(table->selector_paths[path].tier), ADDRESS_TEXT(&table->paths[path].address));
    return buffer;
}

static void add_path_metric(const struct agent *agent, struct evbuffer *out, const char *name,
                            const char *help, double (*value)(const struct agent *, uint32_t))
{
    char labels[2 * LABEL_SIZE];

    add_head(out, name, "gauge", help);
    for (uint32_t i = 0; i < agent->host.table.path_count; i++)
        evbuffer_add_printf(out, "reroute_%s{%s} %.9g\n", name, path_labels(agent, i, labels, sizeof(labels)),
                            value(agent, i));
}

/* --- replies of a path, by how long they took --- */

static const uint64_t bounds_us[AGENT_RTT_BUCKETS - 1] = {50,    100,   250,   500,    1000,   2500,   5000,
                                                          10000, 25000, 50000, 100000, 250000, 1000000};

void agent_count_rtt(struct agent_rtts *rtts, uint64_t rtt_ns)
{
    unsigned i = 0;

    while (i < ARRAY_SIZE(bounds_us) && rtt_ns > bounds_us[i] * NS_PER_US)
        i++;
    rtts->counts[i]++;
    rtts->sum_ns += rtt_ns;
}

static void add_histogram(const struct agent *agent, struct evbuffer *out, uint32_t path)
{
    const struct agent_rtts *rtts = &agent->host.table.paths[path].rtts;
    char labels[2 * LABEL_SIZE];
    uint64_t count = 0;

    path_labels(agent, path, labels, sizeof(labels));
    for (unsigned i = 0; i < ARRAY_SIZE(bounds_us); i++) {
        count += rtts->counts[i];
        evbuffer_add_printf(out, "reroute_path_reply_seconds_bucket{%s,le=\"%g\"} %" PRIu64 "\n", labels,
                            (double)bounds_us[i] / 1e6, count);
    }
    count += rtts->counts[ARRAY_SIZE(bounds_us)];
    evbuffer_add_printf(
        out,
        "reroute_path_reply_seconds_bucket{%s,le=\"+Inf\"} %" PRIu64
        "\nreroute_path_reply_seconds_sum{%s} %.9g\nreroute_path_reply_seconds_count{%s} %" PRIu64 "\n",
        labels, count, labels, seconds(rtts->sum_ns), labels, count);
}

static void add_paths(const struct agent *agent, struct evbuffer *out)
{
    add_path_metric(agent, out, "path_current", "The route points at this path.", path_current);
    add_path_metric(agent, out, "path_up", "The path answers.", path_up);
    add_path_metric(agent, out, "path_eligible", "The route may be led there.", path_eligible);
    add_path_metric(agent, out, "path_service_down", "The service check of the path failed.",
                    path_service_down);
    add_path_metric(agent, out, "path_rtt_seconds", "Smoothed round-trip time.", path_rtt);
    add_path_metric(agent, out, "path_loss_ratio", "Loss while up, over the hold time at most.", path_loss);
    add_head(out, "path_reply_seconds", "histogram", "Round-trip times of all replies, late ones too.");
    for (uint32_t i = 0; i < agent->host.table.path_count; i++)
        add_histogram(agent, out, i);
}

void agent_metrics(const struct agent *agent, struct evbuffer *out)
{
    add_agent(agent, out);
    add_route(agent, out);
    add_tune(agent, out);
    add_paths(agent, out);
    add_accesses(agent, out);
    add_cluster(agent, out);
    add_witness(agent, out);
    add_probe(agent, out);
}
