/* SPDX-License-Identifier: Apache-2.0 */
#include "route/agent/provider_settings.h"

#include <sys/prctl.h>
#include <sys/resource.h>

static const char *text_or_null(const char *text)
{
    return text[0] ? text : NULL;
}

/* A core file, or another process of the same user, would hold the token: let there be none. */
static void hide_memory(void)
{
    if (prctl(PR_SET_DUMPABLE, 0) < 0)
        setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
}

int config_session_provider(struct session_provider **out, struct event_base *base,
                            const struct config *config, char *message, size_t size_bytes)
{
    const struct config_session *s = &config->session;
    struct session_provider_settings settings = {
        .kind = s->provider,
        .file = text_or_null(s->file),
        .port = s->port,
        .timeout_ns = s->timeout_ns,
        .hedge_ns = s->hedge_ns,
        .body_limit_bytes = s->body_limit_bytes,
        .tls = s->tls,
        .ca_file = text_or_null(s->ca_file),
        .tls_server_name = text_or_null(s->tls_server_name),
        .token_file = text_or_null(s->token_file),
        .token_header = text_or_null(s->token_header),
        .heartbeat_path = text_or_null(s->heartbeat_path),
        .fields =
            {
                .list = text_or_null(s->field_list),
                .uuid = text_or_null(s->field_uuid),
                .data = text_or_null(s->field_data),
                .secondary = text_or_null(s->field_secondary),
                .zone = text_or_null(s->field_zone),
                .host_data = text_or_null(s->field_host_data),
                .alive_sec = text_or_null(s->field_alive_sec),
            },
    };

    if (s->token_file[0])
        hide_memory();
    return session_provider_new(out, base, &settings, message, size_bytes);
}
