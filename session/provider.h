/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Providers: where lists of sessions come from, and where refreshes and heartbeats go.
 *
 * "rest" asks the cluster's REST service (tools/doc/session-service.md), "file" reads a JSON file and follows
 * its changes, "none" never says anything. Each is a struct of functions behind one handle; all run inside
 * the owner's libevent loop and thread, never block, and answer by callback from that loop (never from inside
 * the call that asked).
 */
#pragma once

#include "session/request.h"

struct event_base;
struct session_provider;

/*
 * Makes a provider. Strings are copied. Returns 0, or a negative errno with one line in message: -EINVAL
 * (not possible; settings; a token file that others can read), -ENOENT and so on (token file), -ENOSYS (libcurl cannot be
 * loaded), -ENOMEM.
 */
int session_provider_new(struct session_provider **out, struct event_base *base,
                         const struct session_provider_settings *settings, char *message, size_t size_bytes);
/* Ends everything that is under way; no callback comes after it. Not from inside a callback. */
struct session_provider *session_provider_free(struct session_provider *provider);
DEFINE_CLEANUP(struct session_provider *, session_provider_free)

/* What does not work as it should on this host, in one line; NULL: nothing. The provider's. */
const char *session_provider_flaw(const struct session_provider *provider);

/*
 * Lists. Endpoints in the order of preference; the first one of each access is used first. rest: requests are
 * hedged, the first good answer wins and the others are cancelled; when all fail the callback gets the last
 * error. A list request that is still under way is replaced by the new one (its callback never comes). An
 * empty list is a failure as long as another access can still answer, else it is given. file: endpoints are
 * ignored; besides answering it calls back again whenever the file changes; -ETIMEDOUT while its disk hangs. none:
 * -ENOTSUP from the call itself. -EINVAL: no endpoint, or one without an address.
 */
int session_provider_list(struct session_provider *provider, const struct session_endpoint *endpoints,
                          size_t count, session_answer_fn *done, void *context);

/*
 * Tells the cluster that client_addresses (comma-separated) enter through session uuid. Endpoints as above.
 * One refresh at a time: a new one replaces the one under way. -ENOTSUP (file, none).
 */
int session_provider_refresh(struct session_provider *provider, const struct session_endpoint *endpoints,
                             size_t count, const char *uuid, const char *client_addresses,
                             session_answer_fn *done, void *context);

/* Posts body (JSON) to heartbeat_path at the endpoint. One at a time. -ENOTSUP: no path configured, file,
 * none. */
int session_provider_heartbeat(struct session_provider *provider, const struct session_endpoint *endpoint,
                               const char *body, session_answer_fn *done, void *context);

/* Ends a refresh under way, if any: its callback never comes. */
void session_provider_cancel_refresh(struct session_provider *provider);
