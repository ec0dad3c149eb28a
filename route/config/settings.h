/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a configuration says, as plain data. Times are in nanoseconds, sizes in bytes; an empty text or address is
 * one that was not given. How it is read: config.h.
 */
#pragma once

#include "probe/base.h"

#define CONFIG_NAME_SIZE 64
#define CONFIG_TEXT_SIZE 256

enum config_local { CONFIG_LOCAL_AUTO, CONFIG_LOCAL_TRUE, CONFIG_LOCAL_FALSE };

struct config_access {
    char name[CONFIG_NAME_SIZE];
    enum config_local local;
    char zone[CONFIG_NAME_SIZE]; /* empty: not said */
    struct address data;         /* any of the three may be empty, not all */
    struct address secondary;
    struct address management;
    char service_check[CONFIG_NAME_SIZE]; /* "tcp:2049", "none"; empty: as session.service-check */
};

struct config_probe {
    uint64_t select_timeout_ns;
    uint32_t select_count;
    uint32_t rise;
    uint32_t payload_bytes;
    uint64_t candidate_interval_ns;
    char transport[CONFIG_NAME_SIZE];
    uint32_t degraded_percent; /* a path that lost more than this over degraded_over_ns is degraded */
    uint64_t degraded_over_ns;
    uint8_t tos;
    uint32_t mark;
    char tune[CONFIG_NAME_SIZE]; /* "off", "advise", "auto" */
    uint64_t tune_timeout_min_ns;
    uint64_t tune_window_min_ns;
    uint64_t tune_window_max_ns;
};

struct config_session {
    char provider[CONFIG_NAME_SIZE]; /* "rest", "file", "none" */
    char file[CONFIG_TEXT_SIZE];     /* of provider "file" */
    uint16_t port;
    uint64_t poll_interval_ns;
    uint64_t timeout_ns;
    uint64_t hedge_ns;
    char service_check[CONFIG_NAME_SIZE]; /* "tcp:2049", "auto"; "none" or empty: no check */
    uint64_t service_check_window_ns;
    struct address *client_addresses; /* empty: the source address of every path */
    size_t client_address_count;
    char token_file[CONFIG_TEXT_SIZE];
    char token_header[CONFIG_NAME_SIZE];
    char heartbeat_path[CONFIG_TEXT_SIZE];
    uint64_t heartbeat_interval_ns;
    bool tls;
    char ca_file[CONFIG_TEXT_SIZE];
    char tls_server_name[CONFIG_TEXT_SIZE];
    size_t body_limit_bytes;
    /* JSON Pointers of the list's fields; empty: those of session-service.md. Section `fields` inside `session`. */
    char field_list[CONFIG_NAME_SIZE], field_uuid[CONFIG_NAME_SIZE], field_data[CONFIG_NAME_SIZE],
        field_secondary[CONFIG_NAME_SIZE], field_zone[CONFIG_NAME_SIZE], field_host_data[CONFIG_NAME_SIZE],
        field_alive_sec[CONFIG_NAME_SIZE];
};

struct config_route {
    uint64_t hold_ns;
    uint64_t stay_ns;
    char backend[CONFIG_NAME_SIZE];  /* "auto", "netlink", "esxcfg", "ip" */
    char command[CONFIG_TEXT_SIZE];  /* of the last two; empty: where it is by custom */
    char netstack[CONFIG_NAME_SIZE]; /* of esxcfg; empty: the default one */
    uint64_t command_timeout_ns;
    uint32_t table;
    uint32_t metric;
    uint8_t protocol;
    char reset_connections[CONFIG_NAME_SIZE]; /* "all", "established", "none" */
};

struct config_log {
    char file[CONFIG_TEXT_SIZE]; /* empty: standard error */
    char link[CONFIG_TEXT_SIZE]; /* empty: none */
    uint64_t size_bytes;
    uint32_t keep;
};

struct config {
    uint64_t digest; /* of the text of the file: another one means that the file has changed */
    struct address service;
    char zone[CONFIG_NAME_SIZE]; /* empty: that of the local access */
    char host[CONFIG_NAME_SIZE]; /* this host's name for heartbeats and for spreading; default: gethostname()
                                  */
    struct config_access *accesses;
    size_t access_count;
    struct address *bootstrap; /* accesses come from the session list, asked for here first */
    size_t bootstrap_count;
    struct config_probe probe;
    struct config_session session;
    struct config_route route;
    struct config_log log;
    char control_socket[CONFIG_TEXT_SIZE];
    char state_directory[CONFIG_TEXT_SIZE];
    char metrics_listen[CONFIG_TEXT_SIZE]; /* "ADDRESS:PORT"; empty: none */
    char notify[CONFIG_TEXT_SIZE];         /* the program that is run at every change; empty: none */
    uint64_t notify_timeout_ns;
    char observe_file[CONFIG_TEXT_SIZE]; /* while it is there nothing is touched; empty: none */
};
