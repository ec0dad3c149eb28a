/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table of all keys, with their defaults.
 */
#include "route/config/keys.h"
#include "probe/probe.h"

#define KEY(text, of, member_, type_, ...)                                             \
    {                                                                                  \
        .name = (text), .type = &config_type_##type_, .offset = offsetof(of, member_), \
        .size_bytes = sizeof(((of *)0)->member_), __VA_ARGS__                          \
    }
#define TOP(text, member, type, ...)    KEY(text, struct config, member, type, __VA_ARGS__)
#define ACCESS(text, member, type, ...) KEY(text, struct config_access, member, type, __VA_ARGS__)
#define RANGE(low, high)                .min = (low), .max = (high)
#define HOUR_NS                         (3600 * NS_PER_S)

static const struct config_key top_keys[] = {
    TOP("service", service, address, ),
    TOP("zone", zone, name, ),
    TOP("host", host, name, ),
    TOP("bootstrap", bootstrap, addresses, ),
    TOP("control-socket", control_socket, path, .min = 1, .value = "/run/reroute/control.sock"),
    TOP("state-directory", state_directory, path, .min = 1, .value = "/var/lib/reroute"),
    TOP("metrics-listen", metrics_listen, endpoint, .value = ""),
    TOP("notify", notify, path, .value = ""),
    TOP("notify-timeout", notify_timeout_ns, duration, RANGE(100 * NS_PER_MS, HOUR_NS), .value = "10s"),
    TOP("observe-file", observe_file, path, .value = ""),
};

static const struct config_key access_keys[] = {
    ACCESS("local", local, local, .value = "auto"),
    ACCESS("zone", zone, name, ),
    ACCESS("data", data, address, ),
    ACCESS("secondary", secondary, address, ),
    ACCESS("management", management, address, ),
    ACCESS("service-check", service_check, check, .choices = "none", .value = ""),
};

static const struct config_key probe_keys[] = {
    TOP("select-timeout", probe.select_timeout_ns, duration, RANGE(NS_PER_MS, 60 * NS_PER_S),
        .value = "100ms"),
    TOP("select-count", probe.select_count, number, RANGE(1, 1000), .value = "10"),
    TOP("rise", probe.rise, number, RANGE(1, 1000), .value = "3"),
    TOP("payload", probe.payload_bytes, size, RANGE(PROBE_PAYLOAD_MIN_BYTES, PROBE_PAYLOAD_MAX_BYTES),
        .value = "56B"),
    TOP("candidate-interval", probe.candidate_interval_ns, duration, RANGE(NS_PER_MS, HOUR_NS),
        .value = "1s"),
    TOP("transport", probe.transport, choice, .choices = "auto epoll io_uring poll", .value = "auto"),
    TOP("degraded-loss", probe.degraded_percent, percent, RANGE(1, 100), .value = "30%"),
    TOP("degraded-over", probe.degraded_over_ns, duration, RANGE(NS_PER_S, HOUR_NS), .value = "10s"),
    TOP("tos", probe.tos, number, RANGE(0, UINT8_MAX), .value = "0"),
    TOP("mark", probe.mark, number, RANGE(0, UINT32_MAX), .value = "0"),
    TOP("tune", probe.tune, choice, .choices = "off advise auto", .value = "advise"),
    TOP("tune-timeout-min", probe.tune_timeout_min_ns, duration, RANGE(10 * NS_PER_MS, 60 * NS_PER_S),
        .value = "20ms"),
    TOP("tune-window-min", probe.tune_window_min_ns, duration, RANGE(20 * NS_PER_MS, 60 * NS_PER_S),
        .value = "100ms"),
    TOP("tune-window-max", probe.tune_window_max_ns, duration, RANGE(20 * NS_PER_MS, 60 * NS_PER_S),
        .value = "2s"),
};

static const struct config_key session_keys[] = {
    TOP("provider", session.provider, choice, .choices = "rest file none", .value = "rest"),
    TOP("file", session.file, path, .value = ""),
    TOP("port", session.port, number, RANGE(1, UINT16_MAX), .value = "80"),
    TOP("poll-interval", session.poll_interval_ns, duration, RANGE(10 * NS_PER_MS, HOUR_NS), .value = "2s"),
    TOP("timeout", session.timeout_ns, duration, RANGE(10 * NS_PER_MS, HOUR_NS), .value = "1s"),
    TOP("hedge-delay", session.hedge_ns, duration, RANGE(NS_PER_MS, HOUR_NS), .value = "150ms"),
    TOP("service-check", session.service_check, check, .choices = "auto none", .value = "auto"),
    TOP("service-check-window", session.service_check_window_ns, duration, RANGE(100 * NS_PER_MS, HOUR_NS),
        .value = "3s"),
    TOP("client-addresses", session.client_addresses, addresses, ),
    TOP("token-file", session.token_file, path, .value = ""),
    TOP("token-header", session.token_header, token, .value = "x-smartx-token"),
    TOP("heartbeat-path", session.heartbeat_path, url_path, .value = ""),
    TOP("heartbeat-interval", session.heartbeat_interval_ns, duration, RANGE(100 * NS_PER_MS, HOUR_NS),
        .value = "10s"),
    TOP("tls", session.tls, boolean, .value = "false"),
    TOP("ca-file", session.ca_file, path, .value = ""),
    TOP("tls-server-name", session.tls_server_name, name, .value = ""),
    TOP("body-limit", session.body_limit_bytes, size, RANGE(1024, UINT64_C(1) << 30), .value = "4MiB"),
};

static const struct config_key fields_keys[] = {
    TOP("list", session.field_list, pointer, .value = ""),
    TOP("uuid", session.field_uuid, pointer, .value = ""),
    TOP("data", session.field_data, pointer, .value = ""),
    TOP("secondary", session.field_secondary, pointer, .value = ""),
    TOP("zone", session.field_zone, pointer, .value = ""),
    TOP("host-data", session.field_host_data, pointer, .value = ""),
    TOP("alive-sec", session.field_alive_sec, pointer, .value = ""),
};

static const struct config_key route_keys[] = {
    TOP("hold", route.hold_ns, duration, RANGE(0, 24 * HOUR_NS), .value = "180s"),
    TOP("stay", route.stay_ns, duration, RANGE(0, HOUR_NS), .value = "10s"),
    TOP("backend", route.backend, choice, .choices = "auto netlink esxcfg ip", .value = "auto"),
    TOP("route-command", route.command, path, .value = ""),
    TOP("netstack", route.netstack, name, ),
    TOP("command-timeout", route.command_timeout_ns, duration, RANGE(100 * NS_PER_MS, HOUR_NS),
        .value = "45s"),
    TOP("table", route.table, number, RANGE(1, UINT32_MAX), .value = "254"),
    TOP("metric", route.metric, number, RANGE(0, UINT32_MAX), .value = "0"),
    TOP("protocol", route.protocol, number, RANGE(0, UINT8_MAX), .value = "213"),
    TOP("reset-connections", route.reset_connections, choice, .choices = "all established none",
        .value = "all"),
};

static const struct config_key log_keys[] = {
    TOP("file", log.file, path, .value = ""),
    TOP("size", log.size_bytes, size, RANGE(16 << 10, UINT64_C(1) << 30), .value = "1MiB"),
    TOP("keep", log.keep, number, RANGE(1, 99), .value = "3"),
    TOP("link", log.link, path, .value = ""),
};

const struct config_section config_sections[CONFIG_SECTIONS] = {
    [CONFIG_TOP] = {"", top_keys, ARRAY_SIZE(top_keys)},
    [CONFIG_PROBE] = {"probe", probe_keys, ARRAY_SIZE(probe_keys)},
    [CONFIG_SESSION] = {"session", session_keys, ARRAY_SIZE(session_keys)},
    [CONFIG_FIELDS] = {"fields", fields_keys, ARRAY_SIZE(fields_keys)},
    [CONFIG_ROUTE] = {"route", route_keys, ARRAY_SIZE(route_keys)},
    [CONFIG_LOG] = {"log", log_keys, ARRAY_SIZE(log_keys)},
    [CONFIG_ACCESS] = {"access", access_keys, ARRAY_SIZE(access_keys)},
};

const struct config_key *config_section_key(const struct config_section *section, const char *name)
{
    for (size_t i = 0; i < section->key_count; i++) {
        if (strcmp(section->keys[i].name, name) == 0)
            return &section->keys[i];
    }
    return NULL;
}
