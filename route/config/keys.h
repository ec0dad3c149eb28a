/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every key of the configuration file, as a table: its type, range, default and where its value goes. What
 * reads, checks and prints the configuration runs over this table; a new key is one row (and its member in
 * config.h, and its paragraph in reroute.conf.5).
 */
#pragma once

#include "route/config/settings.h"

struct config_key;

/* How a value is written. why gets "what is wrong, expected ...". */
struct config_type {
    int (*parse)(const struct config_key *key, const char *text, void *member, char *why, size_t why_bytes);
    void (*format)(const struct config_key *key, const void *member, char *buffer, size_t size_bytes);
    bool plain; /* a number or a boolean: no quotes in JSON */
    bool list;  /* of addresses: the member is a pointer, the one after it the count */
};

struct config_key {
    const char *name;
    const struct config_type *type;
    size_t offset;     /* of the member in struct config, or in struct config_access */
    size_t size_bytes; /* of the member */
    uint64_t min, max; /* range of numbers, durations (ns), sizes (bytes); of a text: its least length */
    const char *choices;
    const char *value; /* the default, written as in a file; NULL: stays empty */
};

struct config_section {
    const char *name; /* "": the top level */
    const struct config_key *keys;
    size_t key_count;
};

/* "", probe, session, fields (inside session), route, log, access. */
enum {
    CONFIG_TOP,
    CONFIG_PROBE,
    CONFIG_SESSION,
    CONFIG_FIELDS,
    CONFIG_ROUTE,
    CONFIG_LOG,
    CONFIG_ACCESS,
    CONFIG_SECTIONS
};
extern const struct config_section config_sections[CONFIG_SECTIONS];

/* The key of this name in a section, or NULL. */
const struct config_key *config_section_key(const struct config_section *section, const char *name);

extern const struct config_type config_type_number, config_type_duration, config_type_size,
    config_type_percent, config_type_boolean, config_type_local, config_type_address, config_type_addresses,
    config_type_name, config_type_choice, config_type_check, config_type_path, config_type_pointer,
    config_type_url_path, config_type_token, config_type_endpoint;

/* What an access may be called; also a zone and a host. */
bool config_name_ok(const char *text);

/* Writes a value as the file would give it, for instance "100ms"; no quotes. Not for lists. */
void config_format_duration(uint64_t ns, char *buffer, size_t size_bytes);
