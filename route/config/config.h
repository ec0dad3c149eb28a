/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The configuration file: read, checked, and given as plain data with every default filled in.
 */
#pragma once

#include "route/config/settings.h"

#define CONFIG_PATH_DEFAULT "/etc/reroute/reroute.conf"
/*
 * Reads and checks a file. Returns 0 with *out filled (free with config_free), or a negative errno with one
 * line in message: "FILE:LINE: what is wrong, what was expected" (-EINVAL), "FILE: ..." (-ENOENT, -EACCES). Where the
 * default file is missing it says what to do.
 * Does not look at the host: whether the service address is local is checked by who opens the FIB.
 */
int config_load(struct config **out, const char *path, char *message, size_t size_bytes);
/*
 * The absolute path that a file gives for this key of the top level, for who needs no more of a file that config_load()
 * refuses, whatever else is wrong. False, and out as it was: it gives none for certain, or gives the key twice.
 */
bool config_find_path(const char *path, const char *key, char out[static CONFIG_TEXT_SIZE]);
/* What is allowed but should be known: one line, static; NULL: nothing. */
const char *config_warning(const struct config *config);
struct config *config_free(struct config *config);
DEFINE_CLEANUP(struct config *, config_free)

/* Why no node has this address: "is a multicast address"; NULL: one may have it. Static. */
const char *config_address_flaw(const struct address *address, bool loopback_ok);

/* "100ms", "1.5s", "2m", "50us" -> nanoseconds; "56B", "4KiB", "1MiB" -> bytes. 0 or -EINVAL. A bare number
 * is an error. */
int config_parse_duration(const char *text, uint64_t *out_ns);
int config_parse_size(const char *text, size_t *out_bytes);
