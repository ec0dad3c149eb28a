/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How the paths are entered from this host: interface, source address, link. What can be entered is probed, and
 * its service checked.
 */
#include "probe/scope.h"
#include "route/agent/private.h"

/* How soon the kernel is asked again how a path is entered, when it did not say. */
#define EGRESS_AGAIN_NS (100 * NS_PER_MS)

static struct agent_check check_wanted(const struct agent *agent, uint32_t index)
{
    uint32_t access = agent_table_access(&agent->host.table, index);

    return access == SELECTOR_NO_ACCESS ? (struct agent_check){0} : agent->host.table.accesses[access].check;
}

static bool check_equal(const struct agent_check *a, const struct agent_check *b)
{
    return a->protocol.kind == b->protocol.kind && a->protocol.port == b->protocol.port &&
           strcmp(a->protocol.path, b->protocol.path) == 0 && a->window_ns == b->window_ns &&
           a->assumed == b->assumed;
}

/* Is this what is asked already? Then what the check knows stands. */
static bool is_asked(const struct agent_path *path, const struct agent_check *wanted)
{
    return path->serving.check && !path->entry.error && path->serving.ifindex == path->entry.ifindex &&
           check_equal(&path->serving.asked, wanted);
}

/* Has this assumed service answered, be it to a check of before? */
static bool was_found(const struct agent_serving *serving, const struct agent_check *wanted)
{
    return wanted->assumed && serving->asked.assumed &&
           (serving->found ||
            (serving->check && service_check_state(serving->check) != SERVICE_CHECK_UNKNOWN));
}

static void watch_service(struct agent *agent, uint32_t index)
{
    struct agent_path *path = &agent->host.table.paths[index];
    struct agent_check wanted = check_wanted(agent, index);
    bool found = was_found(&path->serving, &wanted);
    struct service_check_settings settings = {.address = path->address,
                                              .protocol = wanted.protocol,
                                              .ifindex = path->entry.ifindex,
                                              .source = path->entry.source,
                                              .interval_ns = agent_service_interval_ns(agent, path),
                                              .window_ns = wanted.window_ns,
                                              .assumed = wanted.assumed && !found};

    if (is_asked(path, &wanted)) {
        service_check_set_interval(path->serving.check, agent_service_interval_ns(agent, path));
        return;
    }
    service_check_free(path->serving.check);
    path->serving = (struct agent_serving){.asked = wanted, .ifindex = path->entry.ifindex, .found = found};
    if (!wanted.protocol.port || path->entry.error)
        return;
    if (service_check_new(&path->serving.check, agent->loop.base, &settings, agent_wake, agent) < 0)
        log_event(LOG_LEVEL_ERROR, "service-check", "path=%s error=\"cannot start\"",
                  ADDRESS_TEXT(&path->address));
}

static void watch_path(struct agent *agent, uint32_t index)
{
    struct agent_path *path = &agent->host.table.paths[index];
    struct probe_stream_target target = {.address = path->address,
                                         .ifindex = path->entry.ifindex,
                                         .interval_ns = agent->config->probe.select_timeout_ns};

    path->size.asked_bytes = 0; /* outstanding requests are forgotten */
    if (path->entry.error) {
        if (path->probing.streamed)
            probe_stream_remove(agent->host.stream, path->probing.stream_id);
        path->probing.streamed = false;
    } else if (path->probing.streamed) {
        probe_stream_set_ifindex(agent->host.stream, path->probing.stream_id, path->entry.ifindex);
    } else {
        int error = probe_stream_add(agent->host.stream, &target, &path->probing.stream_id);

        path->probing.streamed = error == 0;
        path->probing.interval_ns = target.interval_ns;
        if (error && agent->host.egress_ns == 0)
            log_event(LOG_LEVEL_ERROR, "not-probed", "path=%s error=%s", ADDRESS_TEXT(&path->address),
                      LOG_QUOTE(strerror(-error)));
        if (error)
            return; /* it is down, whatever its service says */
    }
    watch_service(agent, index);
}

const char *agent_egress_text(const struct agent_path *path, char *buffer, size_t size_bytes)
{
    switch (path->entry.error) {
    case -EADDRINUSE:
        return "it is an address of this host";
    case -ENODEV:
        snprintf(buffer, size_bytes, "interface %s does not exist", path->address.zone);
        return buffer;
    default:
        return "not on-link: no connected network of this host holds it";
    }
}

static void note_egress(const struct agent_path *path)
{
    char text[64];

    if (path->entry.error)
        log_event(LOG_LEVEL_WARN, "path-not-on-link", "path=%s reason=%s", ADDRESS_TEXT(&path->address),
                  path->entry.error == -EADDRINUSE ? "own-address"
                  : path->entry.error == -ENODEV   ? LOG_QUOTE(agent_egress_text(path, text, sizeof(text)))
                                                   : "no-connected-network");
}

static int find_egress(struct agent *agent, struct agent_path *path, uint32_t *ifindex,
                       struct address *source)
{
    scope_refresh_address(&path->address);
    if (path->address.zone[0] && !path->address.scope)
        return -ENODEV;
    return fib_egress(agent->fib, &path->address, ifindex, source);
}

static void link_changed(struct agent *agent, struct agent_path *path, const struct fib_link *link)
{
    if (path->entry.link_usable && !link->usable)
        log_event(LOG_LEVEL_WARN, "link-down", "path=%s interface=%s", ADDRESS_TEXT(&path->address),
                  link->name[0] ? LOG_VALUE(link->name) : "?");
    if (link->usable && !path->entry.link_usable)
        path->probing.again_ns = agent->now_ns;
    path->entry.link_usable = link->usable;
}

/* What was known stands, and it is asked again: said of the first try only. */
static bool egress_unknown(const struct agent *agent)
{
    if (agent->host.egress_ns == 0)
        log_event(LOG_LEVEL_ERROR, "fib-read", "error=%s", LOG_QUOTE(fib_error(agent->fib)));
    return false;
}

/* False when it has to be tried again: the kernel did not say, or the path cannot be probed. */
static bool update_egress(struct agent *agent, uint32_t index)
{
    struct agent_path *path = &agent->host.table.paths[index];
    bool configured = agent->host.table.selector_paths[index].access != SELECTOR_NO_ACCESS;
    uint32_t ifindex = path->entry.ifindex;
    struct address source = {0};
    struct fib_link link = {0};
    struct agent_check check = check_wanted(agent, index);
    int error = find_egress(agent, path, &ifindex, &source);

    if (error < 0 && error != -ENETUNREACH && error != -EADDRINUSE && error != -ENODEV)
        return egress_unknown(agent);
    if (error < 0 && configured)
        ifindex = 0;
    if (!configured &&
        path->entry.ifindex) { /* an adopted route says itself through which interface it goes */
        ifindex = path->address.scope ? path->address.scope : path->entry.ifindex;
        error = 0;
    }
    if (ifindex) {
        int unknown = fib_link(agent->fib, ifindex, &link);

        if (unknown < 0 && unknown != -ENODEV)
            return egress_unknown(agent);
        path->entry.mtu_bytes = link.mtu_bytes;
    }
    path->entry.source = source;
    if (path->serving.check)
        service_check_set_source(path->serving.check, &source);
    if (error != path->entry.error || ifindex != path->entry.ifindex || (!path->probing.streamed && !error)) {
        path->entry.error = error;
        path->entry.ifindex = ifindex;
        note_egress(path);
        watch_path(agent, index);
    } else if (!check_equal(&path->serving.asked, &check)) {
        watch_service(agent, index);
    }
    link_changed(agent, path, &link);
    if (!path->probing.streamed || !link.usable)
        health_link_lost(&path->health);
    return error || path->probing.streamed;
}

/* Interfaces may have come or gone: what is only asked, or only compared. */
static void refresh_others(struct agent *agent)
{
    scope_refresh_address(&agent->config->service);
    agent->host.bootstrap_on_link = false;
    for (size_t i = 0; i < agent->config->bootstrap_count; i++) {
        struct address *address = &agent->config->bootstrap[i], source;
        uint32_t ifindex;

        scope_refresh_address(address);
        agent->host.bootstrap_on_link |= fib_egress(agent->fib, address, &ifindex, &source) == 0;
    }
}

void agent_egress_step(struct agent *agent)
{
    bool known = true;

    if (!agent->host.egress_wanted || agent->now_ns < agent->host.egress_ns)
        return;
    refresh_others(agent);
    for (uint32_t i = 0; i < agent->host.table.access_count; i++)
        agent->host.table.accesses[i].host_is_judged = false;
    for (uint32_t i = 0; i < agent->host.table.path_count; i++)
        known = update_egress(agent, i) && known;
    agent->host.egress_wanted = !known;
    agent->host.egress_ns = known ? 0 : agent->now_ns + EGRESS_AGAIN_NS;
}
