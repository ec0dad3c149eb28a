/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `reroute check-config`: is this file good, and what would the agent make of it? Of the host is looked at whether the
 * interfaces and files that the configuration names are there, and the addresses are not. Otherwise that is a warning: a
 * file may be checked on another machine than its own.
 */
#include <cjson/cJSON.h>
#include <errno.h>
#include <unistd.h>

#include "probe/text.h"
#include "route/config/config.h"
#include "route/config/keys.h"
#include "route/decide/selector.h"
#include "route/fib/host.h"
#include "session/provider.h"
#include "session/service_check.h"
#include "tools/command/command.h"
#include "tools/options.h"

/* --- for people ---------------------------------------------------------------------------------------- */

struct ranked {
    const char *name;
    struct address address;
    enum selector_tier tier;
    enum selector_locality locality;
    unsigned rank;
};

/* Sessions without a zone are in "default". */
static const char *zone_or_default(const char *zone)
{
    return *zone ? zone : SESSION_ZONE_DEFAULT;
}

/* The host's own zone as far as the file says it. */
static const char *own_zone(const struct config *config)
{
    for (size_t i = 0; !config->zone[0] && i < config->access_count; i++) {
        if (config->accesses[i].local == CONFIG_LOCAL_TRUE)
            return zone_or_default(config->accesses[i].zone);
    }
    return zone_or_default(config->zone);
}

static enum selector_locality locality_of(const struct config *config, const struct config_access *access)
{
    if (access->local == CONFIG_LOCAL_TRUE)
        return LOCALITY_LOCAL;
    return strcmp(zone_or_default(access->zone), own_zone(config)) == 0 ? LOCALITY_SAME_ZONE
                                                                        : LOCALITY_OTHER_ZONE;
}

static int compare_rank(const void *a, const void *b)
{
    const struct ranked *x = a, *y = b;

    return x->rank != y->rank ? (x->rank > y->rank) - (x->rank < y->rank) : strcmp(x->name, y->name);
}

static size_t add_paths(struct ranked *paths, const struct config_access *access,
                        enum selector_locality locality)
{
    const struct address *addresses[] = {[TIER_DATA] = &access->data,
                                         [TIER_SECONDARY] = &access->secondary,
                                         [TIER_MANAGEMENT] = &access->management};
    size_t count = 0;

    for (size_t tier = 0; tier < ARRAY_SIZE(addresses); tier++) {
        const struct access_evidence a = {.locality = locality};
        const struct path_evidence p = {.tier = (enum selector_tier)tier};
        const struct selector_input input = {.paths = &p, .path_count = 1, .accesses = &a, .access_count = 1};

        if (address_is_set(addresses[tier]))
            paths[count++] = (struct ranked){.name = access->name,
                                             .address = *addresses[tier],
                                             .tier = p.tier,
                                             .locality = locality,
                                             .rank = selector_rank(&input, 0)};
    }
    return count;
}

static void print_paths(const struct config *config)
{
    static const char *const localities[] = {"local", "same zone", "other zone"};
    struct ranked *paths = calloc(3 * config->access_count + 1, sizeof(*paths));
    size_t count = 0;

    if (!paths)
        return;
    for (size_t i = 0; i < config->access_count; i++)
        count += add_paths(paths + count, &config->accesses[i], locality_of(config, &config->accesses[i]));
    qsort(paths, count, sizeof(*paths), compare_rank);
    printf("\npaths, best first:\n");
    for (size_t i = 0; i < count; i++)
        printf("  %-16s %-11s %-11s %s\n", paths[i].name, localities[paths[i].locality],
               selector_tier_text(paths[i].tier), ADDRESS_TEXT(&paths[i].address));
    free(paths);
}

static bool all_say_whether_local(const struct config *config)
{
    for (size_t i = 0; i < config->access_count; i++) {
        if (config->accesses[i].local == CONFIG_LOCAL_TRUE)
            return true;
        if (config->accesses[i].local == CONFIG_LOCAL_AUTO)
            return false;
    }
    return true;
}

/* auto asks where bootstrap is given. */
static bool is_checked(const struct config *config, const char *check)
{
    return check[0] && strcmp(check, "none") != 0 &&
           (strcmp(check, "auto") != 0 || config->bootstrap_count > 0);
}

static bool any_access_is_checked(const struct config *config)
{
    for (size_t i = 0; i < config->access_count; i++)
        if (is_checked(config, config->accesses[i].service_check))
            return true;
    return false;
}

/* On the path in use. */
static void print_login_note(const struct config *config)
{
    uint64_t interval_ns = config->probe.select_timeout_ns;
    char dead[32], hung[32];

    config_format_duration(service_check_dead_after_ns(interval_ns), dead, sizeof(dead));
    config_format_duration(service_check_hung_after_ns(interval_ns, config->session.service_check_window_ns),
                           hung, sizeof(hung));
    printf("          a target that refuses logins is left within %s when it is dead, within %s "
           "when it hangs (and two round trips)\n",
           dead, hung);
}

/* What is special of it: a line of its own. */
static void print_check_note(const struct config *config, const char *check)
{
    if (strncmp(check, "iscsi:", strlen("iscsi:")) == 0)
        print_login_note(config);
    else if (strncmp(check, "tcp:", strlen("tcp:")) == 0)
        puts("          tcp does not see one that hangs, for its kernel still accepts connections");
}

static void print_no_check(const struct config *config)
{
    if (strcmp(config->session.provider, "none") == 0)
        puts("check     none: a node that answers pings but does not serve is not left, for there are no "
             "sessions either.");
    else
        puts("check     none: a node that answers pings but does not serve is left when its session has "
             "ended.");
    puts("          service-check = \"nfs3:2049\" (iscsi:PORT, http:PORT/PATH, tcp:PORT) in section session "
         "sees it at once");
}

static void print_check(const struct config *config)
{
    const char *check = config->session.service_check;
    char window[32];

    config_format_duration(config->session.service_check_window_ns, window, sizeof(window));
    if (is_checked(config, check) && strcmp(check, "auto") == 0) {
        printf("check     service-check auto: tcp:2049, once it was accepted there; for NFS say nfs3:2049, "
               "for iSCSI iscsi:3260.\n"
               "          a node that refuses is left at once, one whose port is silent after %s\n",
               window);
        print_check_note(config, "tcp:2049");
    } else if (is_checked(config, check)) {
        printf("check     service-check %s: a node that refuses is left at once, a silent one after %s\n",
               TEXT(check), window);
        print_check_note(config, check);
    } else if (any_access_is_checked(config)) {
        printf("check     service-check of some accesses: a node that refuses is left at once, a silent one "
               "after %s\n",
               window);
    } else {
        print_no_check(config);
    }
}

/* Only what the backend has a use for. */
static void print_route(const struct config *config)
{
    const struct config_route *route = &config->route;
    char stay[32], timeout[32];

    config_format_duration(route->stay_ns, stay, sizeof(stay));
    config_format_duration(route->command_timeout_ns, timeout, sizeof(timeout));
    printf("route     backend %s", route->backend);
    if (strcmp(route->backend, "esxcfg") != 0)
        printf(", table %" PRIu32 ", metric %" PRIu32 ", protocol %u", route->table, route->metric,
               route->protocol);
    if (route->command[0])
        printf(", by %s", TEXT(route->command));
    if (route->netstack[0])
        printf(", netstack %s", route->netstack);
    if (strcmp(route->backend, "esxcfg") == 0 || strcmp(route->backend, "ip") == 0)
        printf(", a command is given up after %s", timeout);
    printf("\n          connections reset by a switch: %s\n", route->reset_connections);
    printf("stay      %s: a path that was left is not taken again before, while there is another\n", stay);
}

static void print_summary(const char *path, const struct config *config)
{
    const struct config_probe *probe = &config->probe;
    const struct config_session *session = &config->session;
    char timeout[32], window[32], hold[32], poll[32];

    config_format_duration(probe->select_timeout_ns, timeout, sizeof(timeout));
    config_format_duration(probe->select_timeout_ns * probe->select_count, window, sizeof(window));
    config_format_duration(config->route.hold_ns, hold, sizeof(hold));
    config_format_duration(session->poll_interval_ns, poll, sizeof(poll));

    printf("%s: ok\n\n", TEXT(path));
    printf("service   %s\n", ADDRESS_TEXT(&config->service));
    printf("host      %s, zone %s\n", TEXT(config->host), TEXT(own_zone(config)));
    printf("window    %s = %s x %" PRIu32 ": a path is down when it was silent for that long\n", window,
           timeout, probe->select_count);
    printf("hold      %s: a better path is taken when it was healthy for that long\n", hold);
    printf("sessions  provider %s", TEXT(session->provider));
    if (strcmp(session->provider, "rest") == 0)
        printf(", port %u%s, every %s", session->port, session->tls ? " with TLS" : "", poll);
    else if (strcmp(session->provider, "file") == 0)
        printf(", %s", TEXT(session->file));
    putchar('\n');
    print_check(config);
    print_route(config);

    if (config->access_count)
        print_paths(config);
    else
        printf("\npaths: from the session list\n");
    if (all_say_whether_local(config))
        return;
    if (strcmp(session->provider, "none") == 0)
        printf("No access is local: without a session list only local = true says which one is.\n");
    else
        printf("No access is local for certain: the session list says at run time which one is.\n");
}

/* The agent waits for an interface; a name that is mistyped never comes. */
static void warn_of_interface(const char *path, const struct address *address)
{
    if (address->zone[0] && !address->scope)
        fprintf(stderr, "%s: warning: %s: interface %s does not exist now, the agent will wait for it\n",
                path, ADDRESS_TEXT(address), address->zone);
}

static void warn_of_interfaces(const char *path, const struct config *config)
{
    warn_of_interface(path, &config->service);
    for (size_t i = 0; i < config->access_count; i++) {
        warn_of_interface(path, &config->accesses[i].data);
        warn_of_interface(path, &config->accesses[i].secondary);
        warn_of_interface(path, &config->accesses[i].management);
    }
    for (size_t i = 0; i < config->bootstrap_count; i++)
        warn_of_interface(path, &config->bootstrap[i]);
    for (size_t i = 0; i < config->session.client_address_count; i++)
        warn_of_interface(path, &config->session.client_addresses[i]);
}

static void warn_of_own_paths(const char *path, const struct config_access *access,
                              const struct fib_host *host)
{
    const struct address *addresses[] = {&access->data, &access->secondary, &access->management};

    for (size_t i = 0; i < ARRAY_SIZE(addresses); i++)
        if (address_is_set(addresses[i]) && fib_host_owns(host, addresses[i]))
            text_error(
                "%s: warning: %s of access '%s' is an address of this host: that path is never used here",
                path, ADDRESS_TEXT(addresses[i]), access->name);
}

static void warn_of_own_addresses(const char *path, const struct config *config)
{
    struct fib_host host = {0};

    if (fib_host_read(&host) == 0 && fib_host_owns(&host, &config->service))
        text_error("%s: warning: service %s is an address of this host: no agent will start here", path,
                   ADDRESS_TEXT(&config->service));
    for (size_t i = 0; i < config->access_count; i++)
        warn_of_own_paths(path, &config->accesses[i], &host);
    for (size_t i = 0; i < config->bootstrap_count; i++)
        if (fib_host_owns(&host, &config->bootstrap[i]))
            text_error("%s: warning: bootstrap %s is an address of this host, expected those of nodes", path,
                       ADDRESS_TEXT(&config->bootstrap[i]));
    fib_host_clear(&host);
}

/* They are read when the agent starts, and it may be put there until then. */
static void warn_of_file(const char *path, const char *key, const char *file)
{
    if (file[0] && access(file, R_OK) < 0)
        text_error("%s: warning: %s \"%s\": %s", path, key, file, strerror(errno));
}

/* --- for programs -------------------------------------------------------------------------------------- */

static cJSON *list_json(const void *member)
{
    struct address *const *list = member;
    const size_t *count = (const size_t *)(list + 1);
    cJSON *array = cJSON_CreateArray();

    for (size_t i = 0; array && i < *count; i++)
        cJSON_AddItemToArray(array, cJSON_CreateString(ADDRESS_TEXT(&(*list)[i])));
    return array;
}

/* Keys and values as the file would have them; numbers and booleans without quotes. */
static void add_section(cJSON *object, const struct config_section *section, const void *base)
{
    for (size_t i = 0; i < section->key_count; i++) {
        const struct config_key *key = &section->keys[i];
        const void *member = (const char *)base + key->offset;
        char text[CONFIG_TEXT_SIZE] = "";

        if (key->type->list) {
            cJSON_AddItemToObject(object, key->name, list_json(member));
            continue;
        }
        key->type->format(key, member, text, sizeof(text));
        if (key->type->plain)
            cJSON_AddRawToObject(object, key->name, text);
        else
            cJSON_AddStringToObject(object, key->name, text);
    }
}

static cJSON *config_json(const char *path, const struct config *config)
{
    cJSON *root = cJSON_CreateObject();
    cJSON *accesses = NULL;
    char digest[20];

    cJSON_AddStringToObject(root, "schema", "reroute.config/1");
    cJSON_AddStringToObject(root, "file", path);
    snprintf(digest, sizeof(digest), "%016" PRIx64, config->digest);
    cJSON_AddStringToObject(root, "digest", digest);
    add_section(root, &config_sections[CONFIG_TOP], config);
    accesses = cJSON_AddArrayToObject(root, "accesses");
    for (size_t i = 0; i < config->access_count; i++) {
        cJSON *access = cJSON_CreateObject();

        cJSON_AddStringToObject(access, "name", config->accesses[i].name);
        add_section(access, &config_sections[CONFIG_ACCESS], &config->accesses[i]);
        cJSON_AddItemToArray(accesses, access);
    }
    for (int i = CONFIG_PROBE; i < CONFIG_ACCESS; i++) {
        cJSON *parent = i == CONFIG_FIELDS ? cJSON_GetObjectItemCaseSensitive(root, "session") : root;

        add_section(cJSON_AddObjectToObject(parent, config_sections[i].name), &config_sections[i], config);
    }
    return root;
}

static int print_json(const char *path, const struct config *config)
{
    cJSON *root = config_json(path, config);
    char *text = text_json(cJSON_Print(root));

    cJSON_Delete(root);
    if (!text) {
        fprintf(stderr, "reroute check-config: %s\n", strerror(ENOMEM));
        return EXIT_SYSTEM;
    }
    puts(text);
    free(text);
    return 0;
}

/* --- the command --------------------------------------------------------------------------------------- */

int command_check_config(int argc, char **argv)
{
    CLEANUP(config_free) struct config *config = NULL;
    const char *path = NULL;
    bool json = false, quiet = false;
    const char *warning;
    char message[512];
    const struct option_row rows[] = {
        OPTION_CONFIG(&path),
        OPTION_JSON(&json, "reroute.config/1: what is in effect, defaults included"),
        {'q', "quiet", .help = "say nothing of a good file", .flag = &quiet},
        {0},
    };
    const struct command_line line = {
        .about = "Checks a configuration and says what it means. FILE is the same as --config FILE.\n",
        .operands = "[FILE]",
        .most = 1,
        .rows = rows,
        .after = "Exit code: 0 it is good, 3 it is not (one line on standard error says why).\n",
    };
    int at = options_parse(&line, argc, argv);

    if (at <= 0)
        return at ? EXIT_USAGE : 0;
    if (path && at < argc)
        return options_complain(argv[0], "'%s' is one file too many, expected one", argv[at]);
    if (!path)
        path = at < argc ? argv[at] : CONFIG_PATH_DEFAULT;
    if (config_load(&config, path, message, sizeof(message))) {
        text_error("%s", message);
        return EXIT_USAGE;
    }
    if (!session_provider_possible(config->session.provider, config->session.tls, message, sizeof(message))) {
        text_error("%s: %s", path, message);
        return EXIT_USAGE;
    }
    warn_of_interfaces(path, config);
    warn_of_own_addresses(path, config);
    warn_of_file(path, "token-file", config->session.token_file);
    warn_of_file(path, "ca-file", config->session.ca_file);
    warning = config_warning(config);
    if (warning)
        text_error("%s: warning: %s", path, warning);
    if (json)
        return print_json(path, config);
    if (!quiet)
        print_summary(path, config);
    return 0;
}
