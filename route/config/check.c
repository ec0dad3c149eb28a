/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Contradictions: values that are each good but do not go together, found before anything is started. Each
 * rule is one function; the line in the message is that of the key to change.
 *
 * Times contradict each other only when the file gives both. A default gives way to what the file says:
 * a person who sets one key need not know the others.
 */
#include "route/config/check.h"

#include <linux/rtnetlink.h>
#include <sys/un.h>

#define BOOTSTRAP_MAX      64
#define CLIENT_ADDRESS_MAX 16

/* The line of the first of two keys that the file gives; what is not given is a default and has no line. */
static int line_of(const struct config_reader *reader, int section, const char *key, const char *or_key)
{
    int line = config_reader_line(reader, section, 0, key);

    return line ? line : config_reader_line(reader, section, 0, or_key);
}

static bool given(const struct config_reader *reader, int section, const char *key)
{
    return config_reader_line(reader, section, 0, key) > 0;
}

/* --- accesses and addresses ---------------------------------------------------------------------------- */

static const char *const path_keys[] = {"data", "secondary", "management"};

static const struct address *path_of(const struct config_access *access, size_t i)
{
    return i == 0 ? &access->data : i == 1 ? &access->secondary : &access->management;
}

static int check_path(struct config_reader *reader, const struct config *config, size_t access, size_t path)
{
    const struct config_access *a = &config->accesses[access];
    const struct address *address = path_of(a, path);
    int line = config_reader_line(reader, CONFIG_ACCESS, (int)access, path_keys[path]);

    if (!address_is_set(address))
        return 0;
    if (address->family != config->service.family)
        return config_fail(reader, line, "%s %s and service %s are of different families, expected %s",
                           path_keys[path], ADDRESS_TEXT(address), ADDRESS_TEXT(&config->service),
                           config->service.family == AF_INET ? "an IPv4 address" : "an IPv6 address");
    if (address_equal(address, &config->service))
        return config_fail(reader, line, "%s is the service address itself, expected an address of the node",
                           path_keys[path]);
    for (size_t i = 0; i <= access; i++) {
        for (size_t j = 0; j < ARRAY_SIZE(path_keys) && (i < access || j < path); j++) {
            if (address_equal(address, path_of(&config->accesses[i], j)))
                return config_fail(
                    reader, line, "%s %s is already %s of access '%s', expected each address once",
                    path_keys[path], ADDRESS_TEXT(address), path_keys[j], config->accesses[i].name);
        }
    }
    return 0;
}

static int check_access(struct config_reader *reader, const struct config *config, size_t access)
{
    const struct config_access *a = &config->accesses[access];
    bool any = false;
    int rc = 0;

    for (size_t i = 0; !rc && i < ARRAY_SIZE(path_keys); i++) {
        any = any || address_is_set(path_of(a, i));
        rc = check_path(reader, config, access, i);
    }
    if (!rc && !any)
        return config_fail(
            reader, reader->text.tokens[config_reader_section(reader, CONFIG_ACCESS, (int)access)].line,
            "access '%s' has no path, expected data, secondary or management", a->name);
    for (size_t i = 0; !rc && i < access; i++) {
        if (a->local == CONFIG_LOCAL_TRUE && config->accesses[i].local == CONFIG_LOCAL_TRUE)
            return config_fail(reader, config_reader_line(reader, CONFIG_ACCESS, (int)access, "local"),
                               "access '%s' and access '%s' are both local, expected at most one",
                               config->accesses[i].name, a->name);
    }
    return rc;
}

/* Sessions are known by their data and secondary addresses; one without could never be found in a list. */
static int check_matchable(struct config_reader *reader, const struct config *config, size_t access)
{
    const struct config_access *a = &config->accesses[access];

    if (strcmp(config->session.provider, "none") == 0 || address_is_set(&a->data) ||
        address_is_set(&a->secondary))
        return 0;
    return config_fail(reader, config_reader_line(reader, CONFIG_ACCESS, (int)access, "management"),
                       "access '%s' has no data address, expected data or secondary too: the session list of "
                       "provider \"%s\" knows an access by these",
                       a->name, config->session.provider);
}

static int check_accesses(struct config_reader *reader, const struct config *config)
{
    int rc = 0;

    if (!address_is_set(&config->service))
        return config_fail(reader, 1, "no service, expected service = \"ADDRESS\"");
    for (size_t i = 0; !rc && i < config->access_count; i++) {
        rc = check_access(reader, config, i);
        if (!rc)
            rc = check_matchable(reader, config, i);
    }
    return rc;
}

static int check_list(struct config_reader *reader, int section, const char *key, const struct address *list,
                      size_t count, size_t most, const struct config *config)
{
    int mark = config_reader_section(reader, section, 0);
    bool same_family = section == CONFIG_SESSION; /* an address that is only asked may be anywhere */

    if (count > most)
        return config_fail(reader, config_text_line(&reader->text, mark, key, (int)most),
                           "%s holds more than %zu addresses, expected fewer", key, most);
    for (size_t i = 0; i < count; i++) {
        int line = config_text_line(&reader->text, mark, key, (int)i);

        if (address_equal(&list[i], &config->service))
            return config_fail(reader, line, "%s holds the service address, expected others", key);
        if (same_family && list[i].family != config->service.family)
            return config_fail(reader, line, "%s holds %s, expected addresses of the family of service %s",
                               key, ADDRESS_TEXT(&list[i]), ADDRESS_TEXT(&config->service));
        for (size_t j = 0; j < i; j++) {
            if (address_equal(&list[i], &list[j]))
                return config_fail(reader, line, "%s holds %s twice, expected each address once", key,
                                   ADDRESS_TEXT(&list[i]));
        }
    }
    return 0;
}

static int check_lists(struct config_reader *reader, const struct config *config)
{
    int rc = check_list(reader, CONFIG_TOP, "bootstrap", config->bootstrap, config->bootstrap_count,
                        BOOTSTRAP_MAX, config);
    return rc ? rc
              : check_list(reader, CONFIG_SESSION, "client-addresses", config->session.client_addresses,
                           config->session.client_address_count, CLIENT_ADDRESS_MAX, config);
}

/* --- where accesses come from -------------------------------------------------------------------------- */

static int check_provider(struct config_reader *reader, const struct config *config)
{
    const struct config_session *session = &config->session;
    bool rest = strcmp(session->provider, "rest") == 0;
    bool file = strcmp(session->provider, "file") == 0;

    if (file && !session->file[0])
        return config_fail(reader, line_of(reader, CONFIG_SESSION, "file", "provider"),
                           "provider \"file\" without a file, expected file = \"/PATH\"");
    if (!file && session->file[0])
        return config_fail(reader, line_of(reader, CONFIG_SESSION, "file", ""),
                           "file is not read with provider \"%s\", expected provider = \"file\"",
                           session->provider);
    if (!rest && config->bootstrap_count)
        return config_fail(
            reader, line_of(reader, CONFIG_TOP, "bootstrap", ""),
            "nothing is asked with provider \"%s\", expected no bootstrap, or provider = \"rest\"",
            session->provider);
    if (!config->access_count && !config->bootstrap_count && !file)
        return config_fail(reader, 1, "no path at all, expected access \"NAME\" { data = \"ADDRESS\" }%s",
                           rest ? " or bootstrap = {\"ADDRESS\"}" : "");
    return 0;
}

static int check_rest(struct config_reader *reader, const struct config *config)
{
    const struct config_session *session = &config->session;

    if (!session->token_file[0] && given(reader, CONFIG_SESSION, "token-header"))
        return config_fail(reader, line_of(reader, CONFIG_SESSION, "token-header", ""),
                           "token-header without a token, expected token-file = \"/PATH\" too");
    if (!session->tls && session->ca_file[0])
        return config_fail(reader, line_of(reader, CONFIG_SESSION, "ca-file", ""),
                           "ca-file without TLS, expected tls = true too");
    if (!session->tls && session->tls_server_name[0])
        return config_fail(reader, line_of(reader, CONFIG_SESSION, "tls-server-name", ""),
                           "tls-server-name without TLS, expected tls = true too");
    return 0;
}

/* --- times --------------------------------------------------------------------------------------------- */

/* short_key's value must not exceed (or, strictly, must be below) long_key's. */
static int check_order(struct config_reader *reader, int section, const char *short_key, uint64_t short_ns,
                       const char *long_key, uint64_t long_ns, bool strictly)
{
    char shorter[32], longer[32];

    if (strictly ? short_ns < long_ns : short_ns <= long_ns)
        return 0;
    config_format_duration(short_ns, shorter, sizeof(shorter));
    config_format_duration(long_ns, longer, sizeof(longer));
    return config_fail(reader, line_of(reader, section, long_key, short_key),
                       "%s %s is %s %s %s, expected it to be longer%s", long_key, longer,
                       short_ns == long_ns ? "no longer than" : "shorter than", short_key, shorter,
                       strictly ? "" : " or the same");
}

static int check_times(struct config_reader *reader, const struct config *config)
{
    const struct config_probe *probe = &config->probe;
    const struct config_session *session = &config->session;
    int rc = check_order(reader, CONFIG_PROBE, "select-timeout", probe->select_timeout_ns,
                         "candidate-interval", probe->candidate_interval_ns, false);

    if (!rc)
        rc = check_order(reader, CONFIG_PROBE, "select-timeout", probe->select_timeout_ns, "degraded-over",
                         probe->degraded_over_ns, false);
    if (!rc)
        rc = check_order(reader, CONFIG_PROBE, "tune-window-min", probe->tune_window_min_ns,
                         "tune-window-max", probe->tune_window_max_ns, false);
    if (!rc)
        rc = check_order(reader, CONFIG_SESSION, "hedge-delay", session->hedge_ns, "timeout",
                         session->timeout_ns, true);
    return rc;
}

static bool both_given(const struct config_reader *reader, int section, const char *key, const char *other)
{
    return given(reader, section, key) && given(reader, section, other);
}

void config_settle(const struct config_reader *reader, struct config *config)
{
    struct config_probe *probe = &config->probe;
    struct config_session *session = &config->session;

    if (!both_given(reader, CONFIG_PROBE, "select-timeout", "candidate-interval"))
        probe->candidate_interval_ns = max_u64(probe->candidate_interval_ns, probe->select_timeout_ns);
    if (!both_given(reader, CONFIG_PROBE, "select-timeout", "degraded-over"))
        probe->degraded_over_ns = max_u64(probe->degraded_over_ns, probe->select_timeout_ns);
    if (!given(reader, CONFIG_PROBE, "tune-window-max"))
        probe->tune_window_max_ns = max_u64(probe->tune_window_max_ns, probe->tune_window_min_ns);
    if (!given(reader, CONFIG_PROBE, "tune-window-min"))
        probe->tune_window_min_ns = min_u64(probe->tune_window_min_ns, probe->tune_window_max_ns);
    if (!given(reader, CONFIG_SESSION, "hedge-delay"))
        session->hedge_ns = min_u64(session->hedge_ns, session->timeout_ns / 2);
    else if (!given(reader, CONFIG_SESSION, "timeout"))
        session->timeout_ns = max_u64(session->timeout_ns, 2 * session->hedge_ns);
    if (!given(reader, CONFIG_ROUTE, "stay"))
        config->route.stay_ns = min_u64(config->route.stay_ns, config->route.hold_ns);
}

/* --- the route ----------------------------------------------------------------------------------------- */

/* rtnetlink(7), linux/rtnetlink.h: up to 18 kernel, boot, static and routing daemons; the others are daemons too. */
static bool protocol_is_taken(uint8_t protocol)
{
    return protocol <= 18 || protocol == 42 || protocol == 84 || protocol == 99 ||
           (protocol >= 186 && protocol <= 192);
}

static int check_route(struct config_reader *reader, const struct config *config)
{
    if (protocol_is_taken(config->route.protocol))
        return config_fail(reader, line_of(reader, CONFIG_ROUTE, "protocol", ""),
                           "protocol = %u is taken by the kernel or a well-known daemon, expected another "
                           "number (0-18, 42, 84, 99, 186-192 are taken)",
                           config->route.protocol);
    if (config->route.table == RT_TABLE_LOCAL)
        return config_fail(reader, line_of(reader, CONFIG_ROUTE, "table", ""),
                           "table = 255 is the kernel's own, expected another such as 254");
    if (strlen(config->control_socket) >= sizeof(((struct sockaddr_un *)0)->sun_path))
        return config_fail(reader, line_of(reader, CONFIG_TOP, "control-socket", ""),
                           "control-socket is too long, expected at most %zu characters",
                           sizeof(((struct sockaddr_un *)0)->sun_path) - 1);
    return 0;
}

/* A key that the backend has no use for. */
static int check_useless(struct config_reader *reader, const struct config *config, const char *key)
{
    if (!given(reader, CONFIG_ROUTE, key))
        return 0;
    return config_fail(reader, line_of(reader, CONFIG_ROUTE, key, ""),
                       "%s means nothing to backend \"%s\", expected it with another backend, or not at all",
                       key, config->route.backend);
}

/* It is an argument of a command. */
static int check_netstack(struct config_reader *reader, const struct config *config)
{
    if (config->route.netstack[0] != '-')
        return 0;
    return config_fail(reader, line_of(reader, CONFIG_ROUTE, "netstack", ""),
                       "netstack = \"%s\" looks like an option, expected the name of a netstack",
                       config->route.netstack);
}

static int check_backend(struct config_reader *reader, const struct config *config)
{
    static const struct {
        const char *backend, *keys[3];
    } useless[] = {
        {"netlink", {"route-command", "netstack", "command-timeout"}},
        {"ip", {"netstack"}},
        {"esxcfg", {"table", "metric", "protocol"}},
    };
    const char *backend = config->route.backend;
    int rc = 0;

    for (size_t i = 0; i < ARRAY_SIZE(useless); i++)
        for (size_t j = 0; j < ARRAY_SIZE(useless[i].keys) && useless[i].keys[j] && !rc; j++)
            if (strcmp(backend, useless[i].backend) == 0)
                rc = check_useless(reader, config, useless[i].keys[j]);
    if (!rc && strcmp(backend, "esxcfg") == 0 && config->service.family == AF_INET6)
        return config_fail(reader, line_of(reader, CONFIG_TOP, "service", ""),
                           "backend \"esxcfg\" sets no IPv6 routes, expected an IPv4 service");
    return rc;
}

/* --- the log ------------------------------------------------------------------------------------------- */

static int check_log(struct config_reader *reader, const struct config *config)
{
    static const char *const keys[] = {"size", "keep", "link"};

    for (size_t i = 0; !config->log.file[0] && i < ARRAY_SIZE(keys); i++)
        if (given(reader, CONFIG_LOG, keys[i]))
            return config_fail(reader, line_of(reader, CONFIG_LOG, keys[i], ""),
                               "%s without a file, expected file = \"/PATH\" too", keys[i]);
    if (config->log.file[0] && strcmp(config->log.file, config->log.link) == 0)
        return config_fail(reader, line_of(reader, CONFIG_LOG, "link", ""),
                           "link is the file itself, expected another path");
    return 0;
}

int config_check(struct config_reader *reader, const struct config *config)
{
    static int (*const checks[])(struct config_reader *, const struct config *) = {
        check_accesses, check_lists,   check_provider, check_rest, check_times,
        check_route,    check_backend, check_netstack, check_log,
    };
    int rc = 0;

    for (size_t i = 0; !rc && i < ARRAY_SIZE(checks); i++)
        rc = checks[i](reader, config);
    return rc;
}
