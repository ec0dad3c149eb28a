/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What this proves: `reroute check-config` finds its file in every way it may be named, tells people and
 * programs what is in it, and ends with 0 or 3; the example file has the defaults of the code, the manual page
 * has every key with its default, its range and its choices.
 */
#include <cjson/cJSON.h>
#include <criterion/criterion.h>
#include <criterion/redirect.h>
#include <getopt.h>
#include <limits.h>

#include "route/config/keys.h"
#include "tests/config/config_file.h"
#include "tools/command/command.h"

static int run(const char *const *arguments)
{
    char *argv[8] = {0};
    char name[] = "reroute check-config";
    int argc = 1;
    int rc = 0;

    argv[0] = name;
    for (; arguments[argc - 1]; argc++)
        argv[argc] = strdup(arguments[argc - 1]);
    optind = 1;
    rc = command_check_config(argc, argv);
    for (int i = 1; i < argc; i++)
        free(argv[i]);
    fflush(NULL);
    return rc;
}

/* What was printed; static. */
static const char *printed(FILE *stream)
{
    static char text[65536];

    text[fread(text, 1, sizeof(text) - 1, stream)] = '\0';
    return text;
}

static const char *read_file(const char *path)
{
    static char text[65536];
    FILE *file = fopen(path, "re");

    cr_assert(file, "%s", path);
    text[fread(text, 1, sizeof(text) - 1, file)] = '\0';
    fclose(file);
    return text;
}

Test(check_config, says_what_the_example_means, .init = cr_redirect_stdout)
{
    const char *text = NULL;

    cr_assert_eq(run((const char *const[]){EXAMPLE, NULL}), 0);
    text = printed(cr_get_redirected_stdout());
    cr_expect_eq(strncmp(text, EXAMPLE ": ok\n", strlen(EXAMPLE ": ok\n")), 0, "%s", text);
    cr_expect(strstr(text, "192.168.33.2"), "%s", text);
    cr_expect(strstr(text, "window    1s = 100ms x 10"), "%s", text);
    cr_expect(strstr(text, "hold      180s"), "%s", text);
    /* Storage network before management network, in each by locality. */
    cr_expect(strstr(text, "  node1            local       data        10.10.85.15\n"
                           "  node2            same zone   data        10.10.85.16\n"
                           "  node3            other zone  data        10.10.85.17\n"
                           "  node1            local       management  192.168.85.15\n"
                           "  node2            same zone   management  192.168.85.16\n"
                           "  node3            other zone  management  192.168.85.17\n"),
              "%s", text);
}

/* A text of a configuration in a file of its own; what check-config prints of it. */
static const char *printed_of(const char *text)
{
    char path[32];
    int fd = memfd_create("config", MFD_CLOEXEC);

    cr_assert_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    cr_assert_eq(run((const char *const[]){path, NULL}), 0);
    close(fd);
    return printed(cr_get_redirected_stdout());
}

Test(check_config, who_says_which_access_is_local, .init = cr_redirect_stdout)
{
    static const char list[] = "the session list says at run time which one is",
                      none[] = "without a session list only local = true says which one is";
    const char *text = printed_of("service = 192.0.2.1\naccess a { data = 10.0.0.1 }");

    cr_expect(strstr(text, list) && !strstr(text, none), "%s", text);
    text = printed_of("service = 192.0.2.1\naccess a { data = 10.0.0.1 }\nsession { provider = none }");
    cr_expect(strstr(text, none) && !strstr(text, list), "%s", text);
    text = printed_of(
        "service = 192.0.2.1\naccess a { local = true data = 10.0.0.1 }\nsession { provider = none }");
    cr_expect(!strstr(text, none) && !strstr(text, list), "%s", text);
}

/* What a check sees is said as it is, and so is what none does. */
Test(check_config, what_a_check_sees, .init = cr_redirect_stdout)
{
    static const char refuses[] = "a node that refuses is left at once",
                      hangs[] = "tcp does not see one that hangs",
                      logins[] = "a target that refuses logins is left within ",
                      ended[] = "session has ended";
    static const struct {
        const char *text;
        const char *has[3];
        const char *lacks[2];
    } rows[] = {
        {"bootstrap = {10.0.0.1}",
         {"service-check auto: tcp:2049, once it was accepted there; for NFS say nfs3:2049, for iSCSI "
          "iscsi:3260",
          refuses, hangs}},
        {"access a { data = 10.0.0.1 } session { service-check = \"tcp:80\" }",
         {"tcp:80", refuses, hangs},
         {ended}},
        {"access a { data = 10.0.0.1 } session { service-check = \"nfs3:2049\" }",
         {refuses, "a silent one after 3s"},
         {hangs, logins}},
        {"access a { data = 10.0.0.1 } session { service-check = \"iscsi:3260\" }",
         {refuses, logins, "within 1050ms when it is dead, within 13s when it hangs"},
         {hangs}},
        {"access a { data = 10.0.0.1 } session { service-check = \"iscsi:3260\" service-check-window = 500ms "
         "}\n"
         "probe { select-timeout = 900ms candidate-interval = 20s }",
         {"within 1050ms when it is dead, within 10500ms when it hangs"}},
        {"access a { data = 10.0.0.1 } session { service-check = \"iscsi:3260\" }\n"
         "probe { select-timeout = 2s candidate-interval = 20s }",
         {"within 2050ms when it is dead, within 13s when it hangs"}},
        {"access a { data = 10.0.0.1 } session { service-check = \"iscsi:3260\" }\n"
         "probe { select-timeout = 12s candidate-interval = 20s degraded-over = 60s }",
         {"within 12050ms when it is dead, within 15s when it hangs"}},
        {"access a { data = 10.0.0.1 service-check = \"tcp:80\" }", {"of some accesses", refuses}, {ended}},
        {"access a { data = 10.0.0.1 }", {"check     none", ended, "at once"}, {refuses}},
        {"bootstrap = {10.0.0.1} session { service-check = none }", {"check     none", ended}, {refuses}},
        {"access a { data = 10.0.0.1 } session { provider = none }",
         {"check     none", "is not left, for there are no sessions"},
         {ended, refuses}},
    };

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        char text[256];
        const char *out;

        snprintf(text, sizeof(text), "service = 192.0.2.1\n%s\n", rows[i].text);
        out = printed_of(text);
        for (size_t j = 0; j < ARRAY_SIZE(rows[i].has) && rows[i].has[j]; j++)
            cr_expect(strstr(out, rows[i].has[j]), "%s: no '%s' in: %s", rows[i].text, rows[i].has[j], out);
        for (size_t j = 0; j < ARRAY_SIZE(rows[i].lacks) && rows[i].lacks[j]; j++)
            cr_expect(!strstr(out, rows[i].lacks[j]), "%s: '%s' in: %s", rows[i].text, rows[i].lacks[j], out);
    }
}

Test(check_config, a_bad_file_is_one_line_and_exit_code_3, .init = cr_redirect_stderr)
{
    cr_assert_eq(run((const char *const[]){"--config", "/nonexistent/x", NULL}), EXIT_USAGE);
    cr_assert_stderr_eq_str("/nonexistent/x: No such file or directory\n");
}

static void redirect_both(void)
{
    cr_redirect_stdout();
    cr_redirect_stderr();
}

Test(check_config, bad_arguments_are_exit_code_3, .init = redirect_both)
{
    cr_expect_eq(run((const char *const[]){"a", "b", NULL}), EXIT_USAGE);
    cr_expect_eq(run((const char *const[]){"--config", "a", "b", NULL}), EXIT_USAGE);
    cr_expect_eq(run((const char *const[]){"--nonsense", NULL}), EXIT_USAGE);
    cr_expect_eq(run((const char *const[]){"--config", NULL}), EXIT_USAGE);
    cr_expect_eq(run((const char *const[]){"--help", NULL}), 0);
}

Test(check_config, warns_of_a_token_in_the_clear)
{
    static const struct {
        const char *top, *session, *warning;
    } rows[] = {
        {"", "", NULL},
        {"", "token-file = \"/etc/reroute/token\" tls = true", NULL},
        {"", "token-file = \"/etc/reroute/token\"", "the token goes out in the clear: set tls = true"},
        {"bootstrap = {\"10.10.85.15\"}", "token-file = \"/etc/reroute/token\"",
         "the token goes out in the clear, to every address that a session list names"},
    };

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        char text[512];
        const char *warning;
        struct loaded loaded;

        snprintf(text, sizeof(text),
                 "service = \"192.168.33.2\"\n%s\naccess \"n1\" { data = \"10.10.85.16\" }\nsession { %s }\n",
                 rows[i].top, rows[i].session);
        loaded = load_text(text);
        cr_assert(loaded.config, "%s", loaded.error);
        warning = config_warning(loaded.config);
        cr_expect(rows[i].warning ? warning && strstr(warning, rows[i].warning) : !warning, "row %zu: %s", i,
                  warning ? warning : "none");
        config_free(loaded.config);
    }
}

Test(check_config, json_is_the_effective_configuration, .init = cr_redirect_stdout)
{
    cJSON *root = NULL, *probe = NULL;

    cr_assert_eq(run((const char *const[]){"--json", "--config", EXAMPLE, NULL}), 0);
    root = cJSON_Parse(printed(cr_get_redirected_stdout()));
    cr_assert(root);
    cr_expect_str_eq(cJSON_GetStringValue(cJSON_GetObjectItem(root, "schema")), "reroute.config/1");
    cr_expect_str_eq(cJSON_GetStringValue(cJSON_GetObjectItem(root, "service")), "192.168.33.2");
    cr_expect_eq(cJSON_GetArraySize(cJSON_GetObjectItem(root, "accesses")), 3);
    probe = cJSON_GetObjectItem(root, "probe");
    cr_expect_str_eq(cJSON_GetStringValue(cJSON_GetObjectItem(probe, "select-timeout")), "100ms");
    cr_expect_eq(cJSON_GetNumberValue(cJSON_GetObjectItem(probe, "select-count")), 10);
    cr_expect(cJSON_IsFalse(cJSON_GetObjectItem(cJSON_GetObjectItem(root, "session"), "tls")));
    cr_expect_str_eq(
        cJSON_GetStringValue(cJSON_GetObjectItem(cJSON_GetObjectItem(root, "route"), "reset-connections")),
        "all");
    cr_expect(cJSON_GetObjectItem(cJSON_GetObjectItem(root, "session"), "fields"));
    cJSON_Delete(root);
}

/* The example with its defaults uncommented must be what it is with them commented out. */
Test(check_config, what_the_example_comments_out_is_the_default)
{
    char text[65536] = "";
    struct loaded with, without;
    size_t length = 0;

    for (const char *line = read_file(EXAMPLE); *line; line += strcspn(line, "\n"), line += *line == '\n') {
        bool uncomment = line[0] == '#' && line[1] != ' ' && line[1] != '\n' &&
                         strncmp(line, "#zone", 5) != 0; /* its default is not a text */

        uncomment = uncomment || strncmp(line, "#    ", 5) == 0;
        length += (size_t)snprintf(text + length, sizeof(text) - length, "%.*s\n",
                                   (int)strcspn(line, "\n") - uncomment, line + uncomment);
    }
    with = load_text(text);
    without = load_text(read_file(EXAMPLE));
    cr_assert_eq(with.rc, 0, "%s", with.error);
    cr_assert_eq(without.rc, 0, "%s", without.error);
    cr_expect_eq(memcmp(&with.config->probe, &without.config->probe, sizeof(with.config->probe)), 0);
    cr_expect_eq(memcmp(&with.config->session, &without.config->session, sizeof(with.config->session)), 0);
    cr_expect_eq(memcmp(&with.config->route, &without.config->route, sizeof(with.config->route)), 0);
    cr_expect_str_eq(with.config->control_socket, without.config->control_socket);
    cr_expect_str_eq(with.config->state_directory, without.config->state_directory);
    for (size_t i = 0; i < config_sections[CONFIG_PROBE].key_count; i++)
        cr_expect(strstr(text, config_sections[CONFIG_PROBE].keys[i].name));
    config_free(with.config);
    config_free(without.config);
}

/* --- reroute.conf(5) ------------------------------------------------------------------------------------ */

/* What the page says of the keys of a section, up to the next heading; static. */
static char *section_text(const struct config_section *section)
{
    static char text[65536];
    char heading[96];
    char *start = strcpy(text, read_file(MANUAL)), *end = NULL;

    snprintf(heading, sizeof(heading), "\n.\\\" keys of section: %s\n",
             *section->name ? section->name : "top");
    start = strstr(start, heading);
    cr_assert(start, "no%s", heading);
    end = strstr(start, "\n.Ss ");
    end = end ? end : strstr(start, "\n.Sh ");
    cr_assert(end, "no end of%s", heading);
    *end = '\0';
    return start;
}

/* What it says of one key, as one line: ".It Ic KEY ..." up to the next key; "": nothing. static. */
static const char *key_text(const struct config_section *section, const struct config_key *key)
{
    static char text[65536];
    char entry[96];
    char *start = section_text(section), *end = NULL;
    size_t length = (size_t)snprintf(entry, sizeof(entry), "\n.It Ic %s", key->name);

    do {
        start = strstr(start + 1, entry);
    } while (start && start[length] != '\n' && start[length] != ' ');
    if (!start)
        return "";
    end = strstr(start + 1, "\n.It Ic ");
    snprintf(text, sizeof(text), "%.*s", end ? (int)(end - start) : INT_MAX, start);
    for (char *c = text; *c; c++)
        *c = (char)(*c == '\n' ? ' ' : *c);
    return text;
}

/* The number that a word is, in the unit of the key. */
static bool is_value(const struct config_key *key, const char *word, size_t length, uint64_t *value)
{
    struct config_key any = *key;
    char text[32], why[128];

    any.min = 0;
    any.max = UINT64_MAX;
    any.size_bytes = sizeof(*value);
    snprintf(text, sizeof(text), "%.*s", (int)length, word);
    return any.type->parse(&any, text, value, why, sizeof(why)) == 0;
}

/* Is there "LEAST to MOST", with those of the key? */
static bool says_range(const struct config_key *key, const char *text)
{
    for (const char *to = text; (to = strstr(to, " to ")); to++) {
        const char *word = to;
        uint64_t least, most;

        while (word > text && word[-1] != ' ')
            word--;
        if (is_value(key, word, (size_t)(to - word), &least) &&
            is_value(key, to + 4, strcspn(to + 4, " ,.;"), &most) && least == key->min && most == key->max)
            return true;
    }
    return false;
}

static bool has_range(const struct config_key *key)
{
    const struct config_type *types[] = {&config_type_number, &config_type_duration, &config_type_size,
                                         &config_type_percent};

    for (size_t i = 0; i < ARRAY_SIZE(types); i++)
        if (key->type == types[i])
            return true;
    return false;
}

/* Of the choices of a key the first one that the text does not have; NULL: it has all. static. */
static const char *missing_choice(const struct config_key *key, const char *text)
{
    static char word[32];

    for (const char *choice = key->choices; choice && *choice; choice += strspn(choice, " ")) {
        size_t length = strcspn(choice, " ");

        snprintf(word, sizeof(word), "%.*s", (int)length, choice);
        if (!strstr(text, word))
            return word;
        choice += length;
    }
    return NULL;
}

/* How the page says the default. What stays empty and is no list nor name has none. */
static void default_text(const struct config_section *section, const struct config_key *key, char *text,
                         size_t size_bytes)
{
    if (key->value && *key->value)
        snprintf(text, size_bytes, " .It Ic %s Pq default %s ", key->name, key->value);
    else if (section == &config_sections[CONFIG_FIELDS] || key->type == &config_type_address)
        snprintf(text, size_bytes, " .It Ic %s ", key->name);
    else
        snprintf(text, size_bytes, " Default: %s",
                 key->type == &config_type_name && !key->value ? "" : "empty");
}

Test(manual_page, has_each_key_with_its_default_range_and_choices)
{
    for (size_t s = 0; s < CONFIG_SECTIONS; s++) {
        for (size_t k = 0; k < config_sections[s].key_count; k++) {
            const struct config_key *key = &config_sections[s].keys[k];
            const char *text = key_text(&config_sections[s], key), *choice = missing_choice(key, text);
            char wanted[192];

            default_text(&config_sections[s], key, wanted, sizeof(wanted));
            cr_expect(strstr(text, wanted), "%s, %s: no '%s' in:%s", config_sections[s].name, key->name,
                      wanted, text);
            cr_expect(!has_range(key) || says_range(key, text),
                      "%s, %s: no range %" PRIu64 " to %" PRIu64 " in:%s", config_sections[s].name, key->name,
                      key->min, key->max, text);
            cr_expect(!choice, "%s, %s: no %s in:%s", config_sections[s].name, key->name, choice, text);
        }
    }
}

Test(manual_page, has_no_other_key)
{
    for (size_t s = 0; s < CONFIG_SECTIONS; s++) {
        size_t count = 0;

        for (const char *at = section_text(&config_sections[s]); (at = strstr(at, "\n.It Ic ")); at++)
            count++;
        cr_expect_eq(count, config_sections[s].key_count, "%s: %zu", config_sections[s].name, count);
    }
}
