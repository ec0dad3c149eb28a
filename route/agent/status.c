/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The status document, schema reroute.status/1: what a person or a monitoring system asks the agent for.
 * Members are added, never renamed or removed, within one schema version. Durations are seconds or
 * milliseconds as the name says; points in time are RFC 3339 UTC.
 */
#include <cjson/cJSON.h>
#include <math.h>

#include "route/agent/private.h"
#include "route/own_file.h"

static double seconds_since(const struct agent *agent, uint64_t at_ns)
{
    return (double)sub_sat_u64(agent->now_ns, at_ns) / (double)NS_PER_S;
}

static void add_text(cJSON *object, const char *name, const char *text)
{
    if (text && text[0])
        cJSON_AddStringToObject(object, name, text);
    else
        cJSON_AddNullToObject(object, name);
}

static bool path_is_unlisted(const struct agent *agent, uint32_t path)
{
    uint32_t access = agent->host.table.selector_paths[path].access;

    return access != SELECTOR_NO_ACCESS && !agent->host.table.accesses[access].view.listed;
}

const char *agent_path_silence(const struct agent *agent, uint32_t index, char *buffer, size_t size_bytes)
{
    const struct agent_path *path = &agent->host.table.paths[index];
    const struct config_probe *probe = &agent->config->probe;

    if (path->entry.error)
        return agent_egress_text(path, buffer, size_bytes);
    if (!path->entry.link_usable)
        return "its interface is down or has no carrier";
    if (!path->probing.streamed)
        return "it cannot be probed";
    return probe_reason_text(path->health.last, &path->health.error,
                             probe->select_timeout_ns * probe->select_count, buffer, size_bytes);
}

const char *agent_path_why(const struct agent *agent, uint32_t index, char *buffer, size_t size_bytes)
{
    const struct agent_path *path = &agent->host.table.paths[index];
    const struct config_probe *probe = &agent->config->probe;
    struct selector_input input;
    enum selector_reason reason;
    enum selector_level level;

    agent_fill_input(agent, &input);
    level = selector_path_level(&input, index, &reason);
    if (path->entry.error || !path->entry.link_usable)
        return agent_path_silence(agent, index, buffer, size_bytes);
    if (agent->now_ns < path->entry.refused_until_ns)
        return "the kernel refused a route through it";
    switch (reason) {
    case SWITCH_PATH_DOWN:
        if (path->health.misses == 0)
            return "was down; not enough replies in a row yet";
        return agent_path_silence(agent, index, buffer, size_bytes);
    case KEEP_NO_VERDICT:
        return "no verdict yet";
    case SWITCH_DRAINED:
        return "its access is drained";
    case SWITCH_SERVICE_CHECK:
        snprintf(buffer, size_bytes, "service check: %s", service_check_reason(path->serving.check));
        return buffer;
    case SWITCH_SESSION_DEAD:
        return path_is_unlisted(agent, index) ? "no session list names its access" : "its session is dead";
    case SWITCH_RESTARTING:
        return "its access restarts over and over";
    case SWITCH_DEGRADED:
        if (!input.paths[index].health.degraded)
            return "held up: requests are lost, and what a connection of this host sent again is not "
                   "acknowledged either";
        snprintf(buffer, size_bytes,
                 "degraded: too many requests are lost; clean after %.3g s with %.3g %% at most",
                 (double)agent->host.health_settings.degraded_over_ns / (double)NS_PER_S,
                 (double)probe->degraded_percent / 2);
        return buffer;
    default:
        return level == LEVEL_CLEAN ? "" : selector_level_text(level);
    }
}

static void add_serves(cJSON *item, const struct service_check *check)
{
    if (!check || service_check_state(check) == SERVICE_CHECK_UNKNOWN)
        cJSON_AddNullToObject(item, "serves");
    else
        cJSON_AddBoolToObject(item, "serves", service_check_state(check) == SERVICE_CHECK_GOOD);
}

static cJSON *path_status(const struct agent *agent, uint32_t index)
{
    const struct agent_path *path = &agent->host.table.paths[index];
    const struct path_evidence *s = &agent->host.table.selector_paths[index];
    struct selector_input input;
    cJSON *item = cJSON_CreateObject();
    char buffer[160] = "", name[IF_NAMESIZE] = "";
    uint64_t stay_over_ns;

    agent_fill_input(agent, &input);
    cJSON_AddStringToObject(item, "access", agent_table_access_name(&agent->host.table, index));
    cJSON_AddStringToObject(item, "tier", selector_tier_text(s->tier));
    cJSON_AddStringToObject(item, "address", ADDRESS_TEXT(&path->address));
    add_text(item, "interface", path->entry.ifindex ? if_indextoname(path->entry.ifindex, name) : NULL);
    cJSON_AddNumberToObject(item, "rank", selector_rank(&input, index));
    cJSON_AddBoolToObject(item, "current", index == agent->service.current);
    cJSON_AddBoolToObject(item, "up", path->health.state == HEALTH_UP);
    cJSON_AddStringToObject(item, "state", health_state_text(path->health.state));
    /* What was measured before it went down says nothing about it now. */
    if (path->health.state == HEALTH_UP) {
        cJSON_AddNumberToObject(item, "rtt_ms", (double)path->health.rtt_ns / NS_PER_MS);
        cJSON_AddNumberToObject(item, "loss_percent", health_loss_ppm(&path->health) / 10000.0);
    } else {
        cJSON_AddNullToObject(item, "rtt_ms");
        cJSON_AddNullToObject(item, "loss_percent");
    }
    if (path->health.state == HEALTH_UP && path->health.up_since_ns)
        cJSON_AddNumberToObject(item, "up_s", seconds_since(agent, path->health.up_since_ns));
    else
        cJSON_AddNullToObject(item, "up_s");
    add_serves(item, path->serving.check);
    stay_over_ns = selector_stay_over_ns(&agent->host.table.selector, &input, index);
    if (stay_over_ns > agent->now_ns)
        cJSON_AddNumberToObject(item, "stay_s", (double)(stay_over_ns - agent->now_ns) / (double)NS_PER_S);
    else
        cJSON_AddNullToObject(item, "stay_s");
    cJSON_AddBoolToObject(item, "eligible", selector_path_level(&input, index, NULL) <= LEVEL_DEGRADED);
    cJSON_AddStringToObject(item, "why", agent_path_why(agent, index, buffer, sizeof(buffer)));
    return item;
}

/* Two members: until when an order holds, and why it was given. */
static void add_terms(cJSON *object, const char *until, const char *because, const struct terms *terms)
{
    char when[LOG_TIME_SIZE];

    add_text(object, until, terms && terms->until_ns ? log_time_text(terms->until_ns, when) : NULL);
    add_text(object, because, terms ? terms->because : NULL);
}

static cJSON *access_status(const struct agent *agent, uint32_t index)
{
    static const char *const localities[] = {"local", "same-zone", "other-zone"};
    const struct agent_access *access = &agent->host.table.accesses[index];
    const struct access_evidence *s = &agent->host.table.selector_accesses[index];
    const struct drain *drain = orders_drain_of(&agent->orders, access->name);
    cJSON *item = cJSON_CreateObject();

    cJSON_AddStringToObject(item, "access", access->name);
    cJSON_AddStringToObject(item, "locality", localities[s->locality]);
    cJSON_AddStringToObject(item, "state", session_state_text(access->view.state));
    add_text(item, "uuid", access->view.uuid);
    add_text(item, "zone", access->zone[0] ? access->zone : access->view.zone);
    if (access->view.state == SESSION_ALIVE || access->view.state == SESSION_STABLE)
        cJSON_AddNumberToObject(item, "alive_s", seconds_since(agent, access->view.born_ns));
    else
        cJSON_AddNullToObject(item, "alive_s");
    cJSON_AddNumberToObject(item, "restarts", access->view.restarts);
    cJSON_AddBoolToObject(item, "drained", s->drained);
    add_terms(item, "drain_until", "drain_because", drain ? &drain->terms : NULL);
    cJSON_AddNumberToObject(item, "failures", agent->host.table.selector.accesses[index].failures);
    return item;
}

static cJSON *sessions_status(const struct agent *agent)
{
    const struct situation now = agent_situation(agent);
    uint64_t fresh_ns = session_liveness_fresh_ns(agent->lists.liveness);
    cJSON *sessions = cJSON_CreateObject(), *list;

    cJSON_AddStringToObject(sessions, "provider", agent->config->session.provider);
    if (fresh_ns == NEVER_NS)
        cJSON_AddNullToObject(sessions, "list_age_s");
    else
        cJSON_AddNumberToObject(sessions, "list_age_s", seconds_since(agent, fresh_ns));
    if (agent->lists.overdue)
        cJSON_AddNumberToObject(sessions, "overdue_s",
                                (double)lists_age_ns(&agent->lists, &now) / (double)NS_PER_S);
    else
        cJSON_AddNullToObject(sessions, "overdue_s");
    add_text(sessions, "error", agent->lists.polls.message);
    list = cJSON_AddArrayToObject(sessions, "accesses");
    for (uint32_t i = 0; i < agent->host.table.access_count; i++)
        cJSON_AddItemToArray(list, access_status(agent, i));
    return sessions;
}

static cJSON *failback_status(const struct agent *agent)
{
    const struct selector_decision *decision = &agent->service.decision;
    cJSON *failback;

    if (decision->candidate == SELECTOR_NO_PATH)
        return cJSON_CreateNull();
    failback = cJSON_CreateObject();
    cJSON_AddStringToObject(failback, "to",
                            ADDRESS_TEXT(&agent->host.table.paths[decision->candidate].address));
    cJSON_AddStringToObject(failback, "access",
                            agent_table_access_name(&agent->host.table, decision->candidate));
    if (decision->candidate_at_ns == NEVER_NS)
        cJSON_AddNullToObject(failback, "in_s");
    else
        cJSON_AddNumberToObject(failback, "in_s",
                                (double)sub_sat_u64(decision->candidate_at_ns, agent->now_ns) /
                                    (double)NS_PER_S);
    cJSON_AddNumberToObject(failback, "hold_s", (double)decision->candidate_hold_ns / (double)NS_PER_S);
    cJSON_AddStringToObject(failback, "waits_for", selector_reason_text(decision->reason));
    return failback;
}

static cJSON *refresh_status(const struct agent *agent)
{
    const struct telling_refresh *refresh = &agent->telling.refresh;
    cJSON *item = cJSON_CreateObject();

    add_text(item, "session", refresh->uuid);
    cJSON_AddBoolToObject(item, "done",
                          !refresh->wanted && !refresh->under_way && refresh->uuid[0] && !refresh->failed);
    add_text(item, "error", refresh->failed ? refresh->message : NULL);
    return item;
}

/* null, or what cannot be kept in the state directory and why. */
static cJSON *not_kept_status(const struct agent *agent)
{
    cJSON *list = kept_all(&agent->files.kept) ? cJSON_CreateNull() : cJSON_CreateArray();

    for (int i = 0; i < KEPT_COUNT; i++)
        if (agent->files.kept.error[i] < 0) {
            cJSON *item = cJSON_CreateObject();

            cJSON_AddStringToObject(item, "file", kept_name((enum kept_file)i));
            cJSON_AddStringToObject(item, "reason", own_error_text(agent->files.kept.error[i]));
            cJSON_AddItemToArray(list, item);
        }
    return list;
}

/* null, or how the command is that sets the route. */
static cJSON *route_command_status(const struct agent *agent)
{
    uint64_t silent_ns = guard_silent_since_ns(agent->service.guard);
    uint64_t for_ns = sub_sat_u64(agent->now_ns, silent_ns);
    char when[LOG_TIME_SIZE];
    struct keeper_wish wish;
    cJSON *item;

    if (!fib_is_slow(agent->fib))
        return cJSON_CreateNull();
    item = cJSON_CreateObject();
    cJSON_AddStringToObject(item, "backend", fib_backend_name(agent->fib));
    cJSON_AddStringToObject(item, "state", silent_ns ? "hangs" : "answers");
    add_text(item, "silent_since",
             silent_ns ? log_time_text(sub_sat_u64(clock_now_ns(CLOCK_REALTIME), for_ns), when) : NULL);
    add_text(item, "waits_for",
             guard_wish(agent->service.guard, &wish) ? ADDRESS_TEXT(&wish.to.address) : NULL);
    return item;
}

static const char *mode_text(const struct agent *agent)
{
    if (!agent->orders.pin[0])
        return "auto";
    return agent->orders.pin_hard ? "pinned-hard" : "pinned";
}

const char *agent_explanation(const struct agent *agent)
{
    const struct situation now = agent_situation(agent);
    enum selector_reason reason = agent->service.decision.reason;

    if (reason == KEEP_COLD_START && !situation_has_provider(&now))
        return "just started: waiting for the top-ranked path";
    if (reason == KEEP_NOTHING_ELIGIBLE && agent->service.current == SELECTOR_NO_PATH)
        return "no path is eligible: there is no route yet";
    return selector_reason_sentence(reason);
}

void agent_summary(const struct agent *agent, char *text, size_t size_bytes)
{
    const struct agent_service *service = &agent->service;
    const char *address = ADDRESS_TEXT(&agent->config->service);

    if (service->current == SELECTOR_NO_PATH)
        snprintf(text, size_bytes, "no route to %s, reason %s: %s", address, agent_reason_text(agent),
                 agent_explanation(agent));
    else
        snprintf(text, size_bytes, "%s via %s (%s, %s), reason %s", address,
                 ADDRESS_TEXT(&agent->host.table.paths[service->current].address),
                 agent_table_access_name(&agent->host.table, service->current),
                 selector_tier_text(agent->host.table.selector_paths[service->current].tier),
                 agent_reason_text(agent));
}

static cJSON *witness_status(const struct agent *agent)
{
    const struct tcp_watch *watch = &agent->service.watch;
    cJSON *item = cJSON_CreateObject();

    cJSON_AddStringToObject(item, "says", witness_text(watch->verdict.says));
    cJSON_AddBoolToObject(item, "contradicts", watch->verdict.contradicted_ns != 0);
    cJSON_AddNumberToObject(item, "connections", (double)watch->witness.count);
    cJSON_AddNumberToObject(item, "waiting", (double)tcp_watch_waiting(watch));
    return item;
}

/* How sure it is. */
static void add_confidence(cJSON *object, const struct tuning *tuning)
{
    const struct advice *found = &tuning->found;

    if (isfinite(tuning->high))
        cJSON_AddNumberToObject(object, "false_per_year_at_most", tuning->high);
    else
        cJSON_AddNullToObject(object, "false_per_year_at_most");
    add_text(object, "how_known",
             found->pair.select_count ? estimate_basis_text(found->estimate.basis) : NULL);
}

static cJSON *advice_status(const struct tuning *tuning)
{
    const struct advice_pair *pair = &tuning->rule.in_force;
    char when[LOG_TIME_SIZE];
    cJSON *item;

    if (!tuning_advises(tuning))
        return cJSON_CreateNull();
    item = cJSON_CreateObject();
    cJSON_AddNumberToObject(item, "select_timeout_ms", (double)pair->select_timeout_ns / 1e6);
    cJSON_AddNumberToObject(item, "select_count", pair->select_count);
    cJSON_AddNumberToObject(item, "detection_ms", (double)advice_detection_ns(pair) / 1e6);
    cJSON_AddStringToObject(item, "since", log_time_text(tuning->since_realtime_ns, when));
    cJSON_AddStringToObject(item, "reason", rule_reason_text(tuning->rule.reason));
    add_confidence(item, tuning);
    return item;
}

static cJSON *tune_status(const struct agent *agent)
{
    const struct tuning *tuning = &agent->tuning;
    const struct config_probe *probe = &agent->config->probe;
    const struct record *record = tuning->in_use ? &tuning->in_use->record : NULL;
    cJSON *item = cJSON_CreateObject();
    char why[128];

    cJSON_AddStringToObject(item, "mode", tuning_mode_text(tuning->settings.mode));
    cJSON_AddNumberToObject(item, "select_timeout_ms", (double)probe->select_timeout_ns / 1e6);
    cJSON_AddNumberToObject(item, "select_count", probe->select_count);
    cJSON_AddItemToObject(item, "advice", advice_status(tuning));
    cJSON_AddStringToObject(item, "why", tuning_why(tuning, why, sizeof(why)));
    cJSON_AddNumberToObject(item, "watched_s", record ? record->spans[RECORD_MONTH].watched_s : 0);
    cJSON_AddNumberToObject(item, "needs_s", record ? advice_needs_s(record) : ADVICE_WATCH_S);
    cJSON_AddNumberToObject(item, "false_failovers", (double)tuning->false_failovers);
    return item;
}

static void add_next_hop(const struct agent *agent, cJSON *root)
{
    bool there = agent->service.current != SELECTOR_NO_PATH;
    const struct path_evidence *s = there ? &agent->host.table.selector_paths[agent->service.current] : NULL;
    char when[LOG_TIME_SIZE];

    add_text(root, "next_hop",
             there ? ADDRESS_TEXT(&agent->host.table.paths[agent->service.current].address) : NULL);
    add_text(root, "access",
             there ? agent_table_access_name(&agent->host.table, agent->service.current) : NULL);
    add_text(root, "tier", there ? selector_tier_text(s->tier) : NULL);
    cJSON_AddBoolToObject(root, "local", agent_table_is_local(&agent->host.table, agent->service.current));
    add_text(root, "since", there ? log_time_text(agent->service.since_realtime_ns, when) : NULL);
    add_text(root, "reason", agent_reason_text(agent));
}

void agent_status_head(const struct agent *agent, cJSON *root)
{
    cJSON_AddStringToObject(root, "version", agent->options->version);
    cJSON_AddStringToObject(root, "host", agent->config->host);
    cJSON_AddNumberToObject(root, "pid", getpid());
    cJSON_AddStringToObject(root, "service", ADDRESS_TEXT(&agent->config->service));
    add_next_hop(agent, root);
    cJSON_AddStringToObject(root, "mode", mode_text(agent));
    add_text(root, "pin", agent->orders.pin);
    add_terms(root, "pin_until", "pin_because", &agent->orders.pin_terms);
    cJSON_AddStringToObject(root, "decision", selector_reason_text(agent->service.decision.reason));
    cJSON_AddStringToObject(root, "explanation", agent_explanation(agent));
}

/* null, or since when the agent touches nothing, and because of which file. */
static cJSON *observe_status(const struct agent *agent)
{
    char when[LOG_TIME_SIZE];
    cJSON *item;

    if (!agent->observing.state.there)
        return cJSON_CreateNull();
    item = cJSON_CreateObject();
    cJSON_AddStringToObject(item, "file", agent->config->observe_file);
    add_text(item, "since", log_time_text(agent->observing.since_realtime_ns, when));
    return item;
}

/* null, or what is known of the file because of which the agent would only observe. */
static cJSON *observe_file_status(const struct agent *agent)
{
    const struct observing *observing = &agent->observing.state;
    char when[LOG_TIME_SIZE];
    cJSON *item;

    if (!agent->observing.presence)
        return cJSON_CreateNull();
    item = cJSON_CreateObject();
    cJSON_AddStringToObject(item, "file", agent->config->observe_file);
    cJSON_AddItemToObject(item, "there",
                          observing->settled ? cJSON_CreateBool(observing->there) : cJSON_CreateNull());
    add_text(item, "error", observing->error ? own_error_text(observing->error) : NULL);
    add_text(item, "error_since",
             observing->error ? log_time_text(agent->observing.error_realtime_ns, when) : NULL);
    return item;
}

/* null, or how the program does that is run at every change. */
static cJSON *notify_status(const struct agent *agent)
{
    struct notifier_report report = {0};
    cJSON *item;

    if (!agent->config->notify[0] || !agent->news.notifier)
        return cJSON_CreateNull();
    notifier_report(agent->news.notifier, &report);
    item = cJSON_CreateObject();
    cJSON_AddStringToObject(item, "program", agent->config->notify);
    cJSON_AddBoolToObject(item, "running", report.running);
    cJSON_AddNumberToObject(item, "runs", (double)report.runs);
    cJSON_AddNumberToObject(item, "failures", (double)report.failures);
    add_text(item, "error", report.error);
    return item;
}

cJSON *agent_status(const struct agent *agent)
{
    const struct probe_counters *counters = probe_stream_counters(agent->host.stream);
    const struct keeper_report *report = guard_report(agent->service.guard);
    cJSON *root = cJSON_CreateObject(), *list;
    uint64_t switches = 0;
    char digest[20];

    for (int i = 0; i < SELECTOR_REASONS; i++)
        switches += agent->service.switches[i];
    snprintf(digest, sizeof(digest), "%016" PRIx64, agent->config->digest);
    cJSON_AddStringToObject(root, "schema", "reroute.status/1");
    agent_status_head(agent, root);
    cJSON_AddStringToObject(root, "config_digest", digest);
    cJSON_AddItemToObject(root, "failback", failback_status(agent));
    cJSON_AddStringToObject(root, "packets", keeper_packets_text(report->packets));
    add_text(root, "shadowed_by", report->packets == PACKETS_REDIRECTED ? NULL : report->instead);
    add_text(root, "redirected", report->packets == PACKETS_REDIRECTED ? report->instead : NULL);
    cJSON_AddNumberToObject(root, "redirects", (double)report->redirects);
    cJSON_AddItemToObject(root, "witness", witness_status(agent));
    cJSON_AddItemToObject(root, "tune", tune_status(agent));
    cJSON_AddItemToObject(root, "route_command", route_command_status(agent));
    cJSON_AddItemToObject(root, "not_kept", not_kept_status(agent));
    cJSON_AddItemToObject(root, "notify", notify_status(agent));
    cJSON_AddItemToObject(root, "observe_only", observe_status(agent));
    cJSON_AddItemToObject(root, "observe_file", observe_file_status(agent));
    cJSON_AddNumberToObject(root, "switches", (double)switches);
    cJSON_AddNumberToObject(root, "repairs", (double)report->repairs);
    cJSON_AddItemToObject(root, "refresh", refresh_status(agent));
    list = cJSON_AddArrayToObject(root, "paths");
    for (uint32_t i = 0; i < agent->host.table.path_count; i++)
        cJSON_AddItemToArray(list, path_status(agent, i));
    cJSON_AddItemToObject(root, "sessions", sessions_status(agent));
    list = cJSON_AddObjectToObject(root, "probe");
    cJSON_AddStringToObject(list, "transport", probe_stream_transport(agent->host.stream));
    cJSON_AddNumberToObject(list, "sent", (double)counters->sent);
    cJSON_AddNumberToObject(list, "replies", (double)counters->replies);
    cJSON_AddNumberToObject(list, "late", (double)counters->late);
    cJSON_AddNumberToObject(list, "duplicates", (double)counters->duplicates);
    cJSON_AddNumberToObject(list, "corrupt", (double)counters->corrupt);
    cJSON_AddNumberToObject(list, "foreign", (double)counters->foreign);
    cJSON_AddNumberToObject(list, "icmp_errors", (double)counters->icmp_errors);
    cJSON_AddNumberToObject(list, "send_failures", (double)counters->send_failures);
    cJSON_AddNumberToObject(list, "receive_drops", (double)counters->receive_drops);
    cJSON_AddNumberToObject(list, "stalls", (double)counters->stalls);
    return root;
}
