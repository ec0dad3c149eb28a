/* SPDX-License-Identifier: Apache-2.0 */
#include "route/agent/happening.h"

#include "probe/text.h"
#include "route/agent/private.h"
#include "route/own_file.h"

/* --- the log --- */

static const char *address_text(const struct agent *agent, uint32_t path,
                                char buffer[static ADDRESS_TEXT_SIZE])
{
    return path == SELECTOR_NO_PATH ? "none" : address_format(&agent->host.table.paths[path].address, buffer);
}

static const char *access_text(const struct agent *agent, uint32_t path)
{
    return agent_table_access_name(&agent->host.table, path);
}

static const char *tier_text(const struct agent *agent, uint32_t path)
{
    return selector_tier_text(agent->host.table.selector_paths[path].tier);
}

static void log_start(const struct agent *agent, const struct happening *h)
{
    char spread_by[512];

    log_event(LOG_LEVEL_INFO, "start",
              "version=%s service=%s paths=%u transport=%s backend=%s spread_by=%s dry_run=%s "
              "restarts=%" PRIu64,
              agent->options->version, ADDRESS_TEXT(&agent->config->service), agent->host.table.path_count,
              probe_stream_transport(agent->host.stream), fib_backend_name(agent->fib),
              LOG_QUOTE(host_identity_text(&agent->host.identity, spread_by, sizeof(spread_by))),
              agent->options->dry_run ? "true" : "false", agent->options->restarts);
}

static void log_stop(const struct agent *agent, const struct happening *h)
{
    log_event(LOG_LEVEL_INFO, "stop", "signal=%s route=%s", h->target,
              agent->service.current == SELECTOR_NO_PATH ? "none" : "stays");
}

static void log_path(const struct agent *agent, const struct happening *h)
{
    const struct agent_path *path = &agent->host.table.paths[h->path];
    char text[160] = "";
    const char *reason;

    if (path->health.state == HEALTH_UP) {
        log_event(LOG_LEVEL_INFO, "path-up", "access=%s tier=%s path=%s rtt_ms=%.3f",
                  access_text(agent, h->path), tier_text(agent, h->path), ADDRESS_TEXT(&path->address),
                  (double)path->health.rtt_ns / NS_PER_MS);
        return;
    }
    reason = agent_path_silence(agent, h->path, text, sizeof(text));
    log_event(LOG_LEVEL_WARN, "path-down", "access=%s tier=%s path=%s reason=%s", access_text(agent, h->path),
              tier_text(agent, h->path), ADDRESS_TEXT(&path->address), LOG_QUOTE(reason));
}

static void log_service(const struct agent *agent, const struct happening *h)
{
    const struct agent_path *path = &agent->host.table.paths[h->path];
    bool good = path->serving.noted == SERVICE_CHECK_GOOD;

    log_event(good ? LOG_LEVEL_INFO : LOG_LEVEL_WARN, good ? "service-up" : "service-down",
              "access=%s tier=%s path=%s%s%s", access_text(agent, h->path), tier_text(agent, h->path),
              ADDRESS_TEXT(&path->address),
              good ? "" : " reason=", good ? "" : LOG_QUOTE(service_check_reason(path->serving.check)));
}

static void log_witness(const struct agent *agent, const struct happening *h)
{
    static const struct {
        enum log_level level;
        const char *word, *why;
    } texts[] = {
        [WITNESSED_NOTHING] = {LOG_LEVEL_INFO, "nothing", "pings and the connection say the same again"},
        [WITNESSED_PROGRESS] = {LOG_LEVEL_WARN, "progress",
                                "pings are lost, but data of the host's own connection are acknowledged"},
        [WITNESSED_STANDSTILL] = {LOG_LEVEL_WARN, "stalled",
                                  "pings are answered, but data of the host's own connection are not "
                                  "acknowledged: the service is checked"},
        [WITNESSED_HELD_UP] = {LOG_LEVEL_WARN, "held-up",
                               "pings are lost, and what the host's own connection sent again is not "
                               "acknowledged either: the path loses too much"},
    };
    enum agent_witnessed witnessed = agent->service.witnessed;
    char text[ADDRESS_TEXT_SIZE];

    log_event(texts[witnessed].level, "witness", "says=%s path=%s connections=%zu waiting=%zu why=%s",
              texts[witnessed].word, address_text(agent, h->path, text), agent->service.watch.witness.count,
              tcp_watch_waiting(&agent->service.watch), LOG_QUOTE(texts[witnessed].why));
}

static void log_session(const struct agent *agent, const struct happening *h)
{
    const struct agent_access *access = &agent->host.table.accesses[h->access];

    log_event(access->view.state == SESSION_DEAD ? LOG_LEVEL_WARN : LOG_LEVEL_INFO, "session",
              "access=%s state=%s uuid=%s restarts=%u", LOG_VALUE(access->name),
              session_state_text(access->view.state),
              access->view.uuid[0] ? LOG_VALUE(access->view.uuid) : "-", access->view.restarts);
}

static void log_observing(const struct agent *agent, const struct happening *h)
{
    if (agent->observing.state.there)
        log_event(LOG_LEVEL_WARN, "observe-only", "file=%s hint=%s", LOG_VALUE(agent->config->observe_file),
                  LOG_QUOTE("decisions are told and not carried out until this file is gone"));
    else
        log_event(LOG_LEVEL_INFO, "acts-again", "observed_s=%.0f",
                  (double)sub_sat_u64(clock_now_ns(CLOCK_REALTIME), agent->observing.since_realtime_ns) /
                      (double)NS_PER_S);
}

static void log_observe_file(const struct agent *agent, const struct happening *h)
{
    const struct observing *observing = &agent->observing.state;

    if (observing->error)
        log_event(LOG_LEVEL_WARN, "observe-file-unknown", "file=%s acts=%s error=%s hint=%s",
                  LOG_VALUE(agent->config->observe_file), observing->holds ? "false" : "true",
                  LOG_QUOTE(own_error_text(observing->error)),
                  LOG_QUOTE("the last answer counts; without one the agent acts 5 s after its start"));
    else
        log_event(LOG_LEVEL_INFO, "observe-file-known", "file=%s", LOG_VALUE(agent->config->observe_file));
}

static void log_accesses(const struct agent *agent, const struct happening *h)
{
    log_event(LOG_LEVEL_INFO, "accesses", "count=%u", agent->host.table.access_count);
}

static void log_pin_lost(const struct agent *agent, const struct happening *h)
{
    log_event(LOG_LEVEL_WARN, "pin-unknown", "target=%s hint=%s", LOG_VALUE(agent->orders.pin),
              LOG_QUOTE("no access and no path has this name: the agent goes on as if nothing was pinned"));
}

static void log_decision(const struct agent *agent, const struct happening *h)
{
    const struct selector_decision *now = &agent->service.decision;
    uint32_t about = now->switch_now ? now->to : now->candidate;
    bool dry_run = agent->options->dry_run;
    char text[ADDRESS_TEXT_SIZE];

    log_event(now->reason == KEEP_NOTHING_ELIGIBLE ? LOG_LEVEL_ERROR : LOG_LEVEL_INFO, "decision",
              "action=%s%s reason=%s%s%s why=%s%s",
              now->switch_now ? now->planned ? "switch-planned" : "switch" : "keep",
              now->switch_now && !agent_acts(agent) ? "-not-done" : "", selector_reason_text(now->reason),
              about != SELECTOR_NO_PATH ? now->switch_now ? " to=" : " candidate=" : "",
              about != SELECTOR_NO_PATH ? address_text(agent, about, text) : "",
              LOG_QUOTE(agent_explanation(agent)), dry_run ? " dry_run=true" : "");
}

#define TERMS_TEXT_SIZE (LOG_TIME_SIZE + LOG_QUOTED_SIZE + 32)

/* " until=... because=...", or less where less was said. */
static const char *terms_text(const struct terms *terms, char text[static TERMS_TEXT_SIZE])
{
    char when[LOG_TIME_SIZE];
    int n = 0;

    text[0] = '\0';
    if (terms->until_ns)
        n = snprintf(text, TERMS_TEXT_SIZE, " until=%s", log_time_text(terms->until_ns, when));
    if (terms->because[0])
        snprintf(text + n, TERMS_TEXT_SIZE - (size_t)n, " because=%s", LOG_QUOTE(terms->because));
    return text;
}

static void log_order(const struct agent *agent, const struct happening *h)
{
    const char *target = LOG_VALUE(h->target), *why = h->over ? " why=\"its time is over\"" : "";
    char terms[TERMS_TEXT_SIZE];

    switch (h->order) {
    case ORDER_PIN:
    case ORDER_PIN_HARD:
        log_event(LOG_LEVEL_INFO, "pin", "target=%s hard=%s%s", target,
                  h->order == ORDER_PIN_HARD ? "true" : "false", terms_text(h->terms, terms));
        break;
    case ORDER_UNPIN:
        log_event(LOG_LEVEL_INFO, "unpin", "target=%s%s", target, why);
        break;
    case ORDER_DRAIN:
        log_event(LOG_LEVEL_INFO, "drain", "access=%s%s", target, terms_text(h->terms, terms));
        break;
    case ORDER_UNDRAIN:
        log_event(LOG_LEVEL_INFO, "undrain", "access=%s%s", target, why);
        break;
    case ORDER_FAILBACK:
        log_event(LOG_LEVEL_INFO, "failback-now", "to=%s", target);
        break;
    }
}

/*
 * For how long a path has been silent, in ms; "never" when it has not answered since the agent began, "none" when
 * there is no path.
 */
static const char *silent_text(const struct agent *agent, uint32_t path, char buffer[static 24])
{
    uint64_t last_reply_ns;

    if (path == SELECTOR_NO_PATH)
        return "none";
    last_reply_ns = agent->host.table.paths[path].health.last_reply_ns;
    if (!last_reply_ns)
        return "never";
    snprintf(buffer, 24, "%.1f", (double)sub_sat_u64(agent->now_ns, last_reply_ns) / NS_PER_MS);
    return buffer;
}

static void log_switch(const struct agent *agent, const struct happening *h)
{
    char silent[24], from[ADDRESS_TEXT_SIZE];

    log_event(LOG_LEVEL_INFO, "switch",
              "from=%s to=%s access=%s tier=%s reason=%s silent_ms=%s replace_us=%.0f why=%s",
              address_text(agent, h->from, from), ADDRESS_TEXT(&h->route->hop), access_text(agent, h->path),
              tier_text(agent, h->path), selector_reason_text(h->reason), silent_text(agent, h->from, silent),
              (double)h->route->took_ns / NS_PER_US, LOG_QUOTE(selector_reason_sentence(h->reason)));
}

static void log_refusal(const struct agent *agent, const struct happening *h)
{
    log_event(LOG_LEVEL_ERROR, "switch-failed", "to=%s reason=%s error=%s", ADDRESS_TEXT(&h->route->hop),
              selector_reason_text(h->reason), LOG_QUOTE(h->route->why));
}

static void log_adoption(const struct agent *agent, const struct happening *h)
{
    char text[KEEPER_TEXT_SIZE];

    log_event(LOG_LEVEL_INFO, "adopt", "route=%s access=%s ours=%s",
              LOG_QUOTE(fib_route_text(&h->route->route, text, sizeof(text))), access_text(agent, h->path),
              h->route->ours ? "true" : "false");
    if (agent_table_access(&agent->host.table, h->path) == SELECTOR_NO_ACCESS)
        log_event(LOG_LEVEL_WARN, "next-hop-not-configured", "next_hop=%s", ADDRESS_TEXT(&h->route->hop));
}

static void log_packets(const struct keeper_event *route)
{
    const char *hop = address_is_set(&route->hop) ? ADDRESS_TEXT(&route->hop) : "none";

    if (route->before != route->packets && route->before == PACKETS_SHADOWED)
        log_event(LOG_LEVEL_INFO, "shadow-gone", "next_hop=%s", hop);
    if (route->before != route->packets && route->before == PACKETS_NOWHERE)
        log_event(LOG_LEVEL_INFO, "way-back", "next_hop=%s", hop);
    if (route->packets == PACKETS_SHADOWED)
        log_event(LOG_LEVEL_WARN, "shadowed", "by=%s", LOG_QUOTE(route->text));
    if (route->packets == PACKETS_REDIRECTED)
        log_event(LOG_LEVEL_WARN, "redirected", "next_hop=%s packets=%s", hop, LOG_QUOTE(route->text));
    if (route->packets == PACKETS_NOWHERE)
        log_event(LOG_LEVEL_ERROR, "no-way", "next_hop=%s reason=%s", hop, LOG_QUOTE(route->text));
}

static void log_route(const struct agent *agent, const struct happening *h)
{
    const struct keeper_event *route = h->route;
    const char *hop = ADDRESS_TEXT(&route->hop);

    switch (route->kind) {
    case KEEPER_REPAIRED:
        log_event(LOG_LEVEL_WARN, "route-repaired", "found=%s next_hop=%s", LOG_QUOTE(route->text), hop);
        break;
    case KEEPER_REPAIR_FAILED:
        log_event(LOG_LEVEL_ERROR, "route-repair-failed", "found=%s next_hop=%s error=%s",
                  LOG_QUOTE(route->text), hop, LOG_QUOTE(route->why));
        break;
    case KEEPER_TAKEN_BACK:
        log_event(LOG_LEVEL_WARN, "route-taken-back", "found=%s", LOG_QUOTE(route->text));
        break;
    case KEEPER_REDIRECT_UNDONE: /* once a second, from a node that goes on: told once a minute */
        log_event(route->again ? LOG_LEVEL_DEBUG : LOG_LEVEL_WARN, "redirect-undone",
                  "next_hop=%s found=%s count=%" PRIu64, hop, LOG_QUOTE(route->text),
                  guard_report(agent->service.guard)->redirects);
        break;
    case KEEPER_PACKETS:
        log_packets(route);
        break;
    case KEEPER_UNREADABLE:
        log_event(LOG_LEVEL_ERROR, "fib-read", "error=%s", LOG_QUOTE(route->why));
        break;
    case KEEPER_HANGS:
        log_event(LOG_LEVEL_ERROR, "route-command-hangs", "silent_s=%.1f hint=%s",
                  (double)route->took_ns / NS_PER_S,
                  LOG_QUOTE("it is killed and tried again; until it answers the route cannot move"));
        break;
    case KEEPER_ANSWERS:
        log_event(LOG_LEVEL_INFO, "route-command-answers", "silent_s=%.1f",
                  (double)route->took_ns / NS_PER_S);
        break;
    case KEEPER_STANDS:
    case KEEPER_REFUSED:
    case KEEPER_ADOPTED:
    case KEEPER_GONE:
        break; /* happenings of their own, or nothing to be told */
    }
}

static void log_planned_abandoned(const struct agent *agent, const struct happening *h)
{
    log_event(LOG_LEVEL_INFO, "planned-switch-abandoned", "to=%s reason=%s",
              ADDRESS_TEXT(&agent->host.table.paths[h->path].address), selector_reason_text(h->reason));
}

static void log_planned_waits(const struct agent *agent, const struct happening *h)
{
    log_event(LOG_LEVEL_WARN, "planned-switch-waits", "to=%s reason=\"the last probe got no reply\"",
              ADDRESS_TEXT(&agent->host.table.paths[h->path].address));
}

static void log_planned_untold(const struct agent *agent, const struct happening *h)
{
    log_event(LOG_LEVEL_WARN, "planned-switch-untold", "to=%s reason=%s",
              ADDRESS_TEXT(&agent->host.table.paths[h->path].address), selector_reason_text(h->reason));
}

static void log_full_size_lost(const struct agent *agent, const struct happening *h)
{
    const struct agent_path *path = &agent->host.table.paths[h->path];

    log_event(LOG_LEVEL_WARN, "full-size-probe-lost", "path=%s bytes=%u", ADDRESS_TEXT(&path->address),
              path->entry.mtu_bytes);
}

static void log_pair(const struct agent *agent, const struct happening *h)
{
    const struct tuning *tuning = &agent->tuning;
    const struct advice_pair *pair = &tuning->rule.in_force;
    char why[128];

    log_event(LOG_LEVEL_INFO, "tune", "mode=%s select_timeout_ms=%g select_count=%u reason=%s why=%s",
              tuning_mode_text(tuning->settings.mode), (double)pair->select_timeout_ns / 1e6,
              pair->select_count, rule_reason_text(tuning->rule.reason),
              LOG_QUOTE(tuning_why(tuning, why, sizeof(why))));
}

static void log_false_failover(const struct agent *agent, const struct happening *h)
{
    const struct config_probe *probe = &agent->config->probe;

    log_event(LOG_LEVEL_WARN, "false-failover", "path=%s count=%" PRIu64 " window_ms=%g hint=%s",
              ADDRESS_TEXT(&agent->host.table.paths[h->path].address), agent->tuning.false_failovers,
              (double)(probe->select_timeout_ns * probe->select_count) / 1e6,
              LOG_QUOTE("the path that was left answered again soon: this window is too short for it"));
}

/* --- the journal --- */

static void record_switch(struct agent *agent, const struct happening *h)
{
    const struct agent_path *paths = agent->host.table.paths;

    journal_switch(agent->files.journal, agent->now_ns,
                   h->from == SELECTOR_NO_PATH ? NULL : &paths[h->from].address, &h->route->hop, h->reason,
                   h->route->error);
}

static void record_adoption(struct agent *agent, const struct happening *h)
{
    journal_adopt(agent->files.journal, agent->now_ns, &h->route->hop);
}

static void record_order(struct agent *agent, const struct happening *h)
{
    const struct journal_order order = {
        .command = order_text(h->order),
        .target = h->target,
        .because = h->terms ? h->terms->because : "",
        .until_ns = h->terms ? h->terms->until_ns : 0,
        .over = h->over,
    };

    journal_command(agent->files.journal, agent->now_ns, &order);
}

static void record_observing(struct agent *agent, const struct happening *h)
{
    const struct journal_order order = {
        .command = agent->observing.state.there ? "observe only" : "act again",
        .target = "",
        .because = "",
    };

    journal_command(agent->files.journal, agent->now_ns, &order);
}

/* --- the program that is run at every change --- */

static enum news start_news(const struct agent *agent, const struct happening *h)
{
    return NEWS_START;
}

static enum news stop_news(const struct agent *agent, const struct happening *h)
{
    return NEWS_STOP;
}

static enum news switch_news(const struct agent *agent, const struct happening *h)
{
    return NEWS_SWITCH;
}

static enum news path_news(const struct agent *agent, const struct happening *h)
{
    return agent->host.table.paths[h->path].health.state == HEALTH_UP ? NEWS_PATH_UP : NEWS_PATH_DOWN;
}

static enum news session_news(const struct agent *agent, const struct happening *h)
{
    return agent->host.table.accesses[h->access].view.state == SESSION_DEAD ? NEWS_SESSION_DEAD : NEWS_NONE;
}

static enum news decision_news(const struct agent *agent, const struct happening *h)
{
    return agent->service.decision.reason == KEEP_NOTHING_ELIGIBLE ? NEWS_NOTHING_ELIGIBLE : NEWS_NONE;
}

/* --- who is told what --- */

enum {
    SAVE = 1,      /* the state directory has to know */
    CLUSTER = 2,   /* the cluster has to know where this host enters */
    HEARTBEAT = 4, /* and the readers of heartbeats */
    STEP = 8,      /* decide again, from where we stand now */
    COUNT_SWITCH = 16,
};

static const struct {
    void (*log)(const struct agent *agent, const struct happening *happening);
    void (*record)(struct agent *agent, const struct happening *happening);
    unsigned others;
    enum news (*news)(const struct agent *agent, const struct happening *happening);
} told[HAPPENED_KINDS] = {
    [HAPPENED_START] = {log_start, NULL, 0, start_news},
    [HAPPENED_STOP] = {log_stop, NULL, 0, stop_news},
    [HAPPENED_PATH] = {log_path, NULL, SAVE, path_news},
    [HAPPENED_SERVICE] = {log_service, NULL, 0},
    [HAPPENED_WITNESS] = {log_witness, NULL, 0},
    [HAPPENED_SESSION] = {log_session, NULL, SAVE, session_news},
    [HAPPENED_OBSERVING] = {log_observing, record_observing, STEP},
    [HAPPENED_OBSERVE_FILE] = {log_observe_file, NULL, 0},
    [HAPPENED_ACCESSES] = {log_accesses, NULL, 0},
    [HAPPENED_PIN_LOST] = {log_pin_lost, NULL, 0},
    [HAPPENED_DECISION] = {log_decision, NULL, 0, decision_news},
    [HAPPENED_ORDER] = {log_order, record_order, SAVE | STEP},
    [HAPPENED_SWITCH] = {log_switch, record_switch, SAVE | CLUSTER | HEARTBEAT | STEP | COUNT_SWITCH,
                         switch_news},
    [HAPPENED_REFUSAL] = {log_refusal, record_switch, STEP},
    [HAPPENED_ADOPTION] = {log_adoption, record_adoption, CLUSTER | HEARTBEAT},
    [HAPPENED_ROUTE] = {log_route, NULL, 0},
    [HAPPENED_PLANNED_ABANDONED] = {log_planned_abandoned, NULL, 0},
    [HAPPENED_PLANNED_WAITS] = {log_planned_waits, NULL, 0},
    [HAPPENED_PLANNED_UNTOLD] = {log_planned_untold, NULL, 0},
    [HAPPENED_FULL_SIZE_LOST] = {log_full_size_lost, NULL, 0},
    [HAPPENED_PAIR] = {log_pair, NULL, 0},
    [HAPPENED_FALSE_FAILOVER] = {log_false_failover, NULL, 0},
};

void agent_tell(struct agent *agent, const struct happening *happening)
{
    unsigned others = told[happening->kind].others;

    told[happening->kind].log(agent, happening);
    if (told[happening->kind].record)
        told[happening->kind].record(agent, happening);
    if (told[happening->kind].news)
        agent_news(agent, told[happening->kind].news(agent, happening), happening);
    if (others & SAVE)
        agent->files.save_wanted = true;
    if (others & CLUSTER)
        telling_again(&agent->telling);
    if (others & HEARTBEAT)
        telling_heartbeat_soon(&agent->telling);
    if (others & COUNT_SWITCH)
        agent->service.switches[happening->reason]++;
    if (others & STEP)
        agent_soon(agent);
}
