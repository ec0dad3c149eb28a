/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The configuration: from a file to plain data with every default filled in.
 *
 * Three steps, each in its own file and each ending at the first error: the text is read and taken apart into tokens
 * with lines (text.c); the tokens become values by the grammar (parse.c) and the table of keys (keys.c, value.c);
 * contradictions between values are found (check.c).
 *
 * An error is one line, "FILE:LINE: what is wrong, what was expected". Whatever happens the caller gets
 * either a whole configuration or none: a running agent keeps the one it has.
 *
 * Not done here: looking at the host. Whether the service address is local, or a token file readable, is
 * found by who opens them.
 */
#include "route/config/config.h"

#include "probe/text.h"
#include "route/config/check.h"
#include "route/config/parse.h"

static int load(struct config_reader *reader, struct config *config)
{
    char why[256];
    int line = 0;
    int rc = config_text_read(&reader->text, reader->path, &line, why, sizeof(why));

    if (rc && line > 0)
        return config_fail(reader, line, "%s", why);
    if (!rc)
        rc = config_parse(reader, config);
    if (!rc && !config->host[0] && gethostname(config->host, sizeof(config->host) - 1))
        rc = -errno;
    if (rc)
        return rc;
    config->digest = reader->text.digest;
    config_settle(reader, config);
    return config_check(reader, config);
}

/* What to do about a file that cannot be read; "" where its errno says all. */
static const char *advice(const char *path, int error)
{
    if (error != -ENOENT || strcmp(path, CONFIG_PATH_DEFAULT) != 0)
        return "";
    return access(REROUTE_EXAMPLE, R_OK) == 0
               ? ": write it (an example: " REROUTE_EXAMPLE "), then run `reroute check-config`"
               : ": write it (examples: reroute.conf(5)), then run `reroute check-config`";
}

int config_load(struct config **out, const char *path, char *message, size_t size_bytes)
{
    struct config_reader reader = {.path = path, .message = message, .message_bytes = size_bytes};
    CLEANUP(config_free) struct config *config = calloc(1, sizeof(*config));
    CLEANUP(free) char *raw = NULL;
    int rc = config ? load(&reader, config) : -ENOMEM;

    config_text_clear(&reader.text);
    if (!rc) {
        *out = TAKE(config);
        return 0;
    }
    if (!reader.failed)
        snprintf(message, size_bytes, "%s: %s%s", path, strerror(-rc), advice(path, rc));
    raw = strdup(message); /* the path may hold anything */
    if (raw)
        text_clean(raw, message, size_bytes);
    return rc;
}

/* What these tokens give for the key, as KEY = WORD; NULL: nothing, or twice. */
static const char *only_value(const struct config_text *text, const char *key)
{
    const char *value = NULL;

    for (int i = 0; i + 2 < text->count; i++) {
        const struct config_token *token = &text->tokens[i];

        if (token[0].kind != CONFIG_TOKEN_WORD || strcmp(token[0].text, key) != 0 ||
            !config_token_is(&token[1], "="))
            continue;
        if (value || token[2].kind != CONFIG_TOKEN_WORD)
            return NULL;
        value = token[2].text;
    }
    return value;
}

bool config_find_path(const char *path, const char *key, char out[static CONFIG_TEXT_SIZE])
{
    struct config_text text = {0};
    const char *value = config_text_read_wrong(&text, path) == 0 ? only_value(&text, key) : NULL;
    bool found = value && value[0] == '/' && strlen(value) < CONFIG_TEXT_SIZE;

    if (found)
        snprintf(out, CONFIG_TEXT_SIZE, "%s", value);
    config_text_clear(&text);
    return found;
}

struct config *config_free(struct config *config)
{
    if (!config)
        return NULL;
    free(config->accesses);
    free(config->bootstrap);
    free(config->session.client_addresses);
    free(config);
    return NULL;
}

/* A token over plain HTTP can be read on the way; with bootstrap it is sent to every address that a list names. */
const char *config_warning(const struct config *config)
{
    if (!config->session.token_file[0] || config->session.tls)
        return NULL;
    return config->bootstrap_count ? "the token goes out in the clear, to every address that a session list "
                                     "names: set tls = true, "
                                     "or name the accesses instead of bootstrap"
                                   : "the token goes out in the clear: set tls = true";
}
